import { Command } from "commander";
import { formatProblem } from "../common/base/problem.ts";
import { CliError } from "./cli-error.ts";
import { readFiles } from "./read-files.ts";

/** `weft convert PATH…` */
export function convertCommand(): Command {
  return new Command("convert")
    .description(
      "write what resources of retired kinds (Policy, ServiceRole, …) are in today's kinds, as YAML",
    )
    .argument("<path...>", "files, folders, or - for standard input; a role and its bindings in one file")
    .action(convert);
}

async function convert(paths: readonly string[]): Promise<void> {
  const [{ decodeText }, { formatYaml }] = await Promise.all([
    import("../control-plane/resources/decode-text.ts"),
    import("../control-plane/resources/yaml.ts"),
  ]);
  const written: string[] = [];
  const problems: string[] = [];
  for (const path of paths) {
    for (const { file, text } of await readFiles("convert", path)) {
      const { retired, resources, problems: found } = decodeText(text, file);
      if (retired.length === 0) continue;
      const errors = found.filter(({ severity = "error" }) => severity === "error");
      problems.push(...errors.map(formatProblem));
      const starts = new Set(retired.map(({ locate }) => locate([]).line));
      for (const { object, source } of resources)
        if (source.line !== undefined && starts.has(source.line)) written.push(formatYaml(object));
    }
  }
  process.stdout.write(written.join("---\n"));
  if (problems.length > 0) throw new CliError(1, problems.join("\n"));
  if (written.length === 0) process.stderr.write("nothing to convert: no resource of a retired kind\n");
}
