import type { Problem } from "../common/base/problem.ts";
import { formatProblem } from "../common/base/problem.ts";

/** Ends the command with lines on stderr and an exit code: 2 for wrong use, 1 for everything else. */
export class CliError extends Error {
  readonly exitCode: 1 | 2;
  /** Each becomes a line. */
  readonly problems: readonly Problem[];

  constructor(exitCode: 1 | 2, what: string | readonly Problem[]) {
    super(typeof what === "string" ? what : what.map(formatProblem).join("\n"));
    this.exitCode = exitCode;
    this.problems = typeof what === "string" ? [] : what;
  }
}

/** Wrong use: one clear line. */
export function wrongUse(message: string): CliError {
  return new CliError(2, message);
}

/** Invalid input: every problem on a line of its own. */
export function invalidInput(problems: readonly Problem[]): CliError {
  return new CliError(1, problems);
}
