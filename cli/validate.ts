import { Command } from "commander";
import { formatProblem } from "../common/base/problem.ts";
import { CliError } from "./cli-error.ts";
import { loadResources } from "./load-resources.ts";

interface ValidateOptions {
  readonly alone: boolean;
}

/** `weft validate PATH…` */
export function validateCommand(): Command {
  return new Command("validate")
    .description("check resources without a control plane: each for itself and all together")
    .argument("<path...>", "files, folders, or - for standard input")
    .option("--alone", "check each resource for itself only, not what it refers to", false)
    .action(validate);
}

async function validate(paths: readonly string[], { alone }: ValidateOptions): Promise<void> {
  const { resources, problems, warnings } = await loadResources("validate", paths, { together: !alone });
  for (const warning of warnings) {
    process.stderr.write(`${warning.severity ?? "warning"}: ${formatProblem(warning)}\n`);
  }
  if (problems.length > 0) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    const advice = alone ? "" : "; --alone leaves out references to what is not in these files";
    throw new CliError(1, [...problems.map(formatProblem), count + advice].join("\n"));
  }
  process.stdout.write(
    `${resources.length} ${resources.length === 1 ? "resource is" : "resources are"} valid\n`,
  );
}
