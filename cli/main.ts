#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { applyCommand } from "./apply.ts";
import { CliError } from "./cli-error.ts";
import { controlPlaneCommand } from "./control-plane.ts";
import { deleteCommand } from "./delete.ts";
import { explainCommand } from "./explain.ts";
import { gatewayCommand } from "./gateway.ts";
import { getCommand } from "./get.ts";
import { proxyCommand } from "./proxy.ts";
import { statusCommand } from "./status.ts";
import { upCommand } from "./up.ts";
import { validateCommand } from "./validate.ts";
import { version } from "./version.ts";

const verbs = [
  upCommand,
  controlPlaneCommand,
  proxyCommand,
  gatewayCommand,
  applyCommand,
  deleteCommand,
  getCommand,
  statusCommand,
  validateCommand,
  explainCommand,
];

/** We report errors ourselves: one clear line, where commander would put its suggestion on a second one. */
const quiet = { outputError: () => {}, writeErr: () => {} };

const program = new Command("weft")
  .description(
    "Weft, a service mesh: a sidecar beside every workload, a control plane that pushes rules to all.",
  )
  .version(version())
  .helpCommand("help [command]", "explain a command");
for (const verb of verbs) {
  const command = verb();
  command.exitOverride().configureOutput(quiet);
  program.addCommand(command);
}
program.exitOverride().configureOutput(quiet);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CliError) {
    process.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    const isHelp = error.code === "commander.help";
    const line = isHelp
      ? "a command is missing; weft --help lists them"
      : error.message.replace(/^error: /, "");
    process.stderr.write(`weft: ${line.replaceAll("\n", " ")}\n`);
    return 2;
  }
  process.stderr.write(`weft: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}
