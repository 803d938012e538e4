#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { CliError } from "./cli-error.ts";
import { verbs } from "./verbs.ts";
import { version } from "./version.ts";

/** We report errors ourselves: one clear line, where commander would put its suggestion on a second one. */
const quiet = { outputError: () => {}, writeErr: () => {} };

const program = new Command("weft")
  .description(
    "Weft, a service mesh: a sidecar beside every workload, a control plane that pushes rules to all.",
  )
  .version(version())
  .helpCommand("help [command]", "explain a command");
const asked = Object.keys(verbs).filter((name) => name === process.argv[2]);
for (const name of asked.length > 0 ? asked : Object.keys(verbs)) {
  const command = await verbs[name]!();
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
