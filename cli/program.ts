import { Command, CommanderError } from "commander";
import { CliError } from "./cli-error.ts";
import { verbs } from "./verbs.ts";
import { version } from "./version.ts";

/** We report errors ourselves: one clear line, where commander would put its suggestion on a second one. */
const quiet = { outputError: () => {}, writeErr: () => {} };

/** Does what the command line asks for. Rejects with CliError when that was wrong or failed. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  const program = new Command("weft")
    .description(
      "Weft, a service mesh: a sidecar beside every workload, a control plane that pushes rules to all.",
    )
    .version(version())
    .helpCommand("help [command]", "explain a command");
  const asked = Object.keys(verbs).filter((name) => name === argv[2]);
  for (const name of asked.length > 0 ? asked : Object.keys(verbs)) {
    const command = await verbs[name]!();
    command.exitOverride().configureOutput(quiet);
    program.addCommand(command);
  }
  program.exitOverride().configureOutput(quiet);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw wrongLine(error);
  }
}

function wrongLine({ code, message }: CommanderError): CliError {
  const line =
    code === "commander.help"
      ? "a command is missing; weft --help lists them"
      : message.replace(/^error: /, "");
  return new CliError(2, `weft: ${line.replaceAll("\n", " ")}`);
}
