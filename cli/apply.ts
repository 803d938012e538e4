import { Command } from "commander";
import { formatProblem } from "../common/base/problem.ts";
import type { AppliedView } from "../common/model/mesh-status.ts";
import { CliError } from "./cli-error.ts";
import { ControlPlaneClient } from "./control-plane-client.ts";
import type { ControlPlaneChoice } from "./control-plane-option.ts";
import { controlPlaneOption, tokenFileOption } from "./control-plane-option.ts";
import { readFiles } from "./read-files.ts";
import type { WaitOptions } from "./wait-option.ts";
import { addWaitOptions, describeSettled, waitMs } from "./wait-option.ts";

interface ApplyOptions extends WaitOptions, ControlPlaneChoice {
  readonly file: string;
}

/** `weft apply -f PATH [--wait]` */
export function applyCommand(): Command {
  const command = new Command("apply")
    .description("create or change resources; all of them or, when one is invalid, none")
    .requiredOption("-f, --file <path>", "file, folder, or - for standard input")
    .addOption(controlPlaneOption())
    .addOption(tokenFileOption());
  return addWaitOptions(command).action(apply);
}

async function apply(options: ApplyOptions): Promise<void> {
  const client = new ControlPlaneClient(options, "apply");
  const wait = waitMs("apply", options);
  const answer = await client.apply(await readFiles("apply", options.file), wait);
  const { problems } = answer;
  for (const problem of problems.filter(({ severity }) => severity === "warning")) {
    process.stderr.write(`warning: ${formatProblem(problem)}\n`);
  }
  const waiting = answer.resources.filter(({ state }) => state === "pending");
  for (const resource of answer.resources) {
    const isWaiting = waiting.includes(resource) ? ", but waits: the mesh keeps what it has" : "";
    process.stdout.write(`${keyOf(resource)} ${resource.result}${isWaiting}\n`);
  }
  if (waiting.length > 0) {
    throw new CliError(
      1,
      problems.filter(({ severity = "error" }) => severity === "error"),
    );
  }
  if (answer.settled !== undefined) process.stdout.write(`${describeSettled(answer.settled)}\n`);
}

function keyOf({ kind, namespace, name }: AppliedView): string {
  return `${kind}/${namespace}/${name}`;
}
