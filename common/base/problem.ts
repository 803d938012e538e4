/**
 * One thing wrong with an input, said so that its author can mend it.
 * The same shape feeds `weft validate`, the HTTP API, status conditions and NACKs.
 */
export interface Problem {
  /** Rooted field path, such as `spec.http[0].route[1].weight`; empty for the whole document. */
  readonly path: string;
  /** What is wrong, in one sentence without a full stop. */
  readonly why: string;
  /** What to do about it, when that can be said. */
  readonly hint?: string;
  /** Warnings and infos are reported but do not refuse the resource. Default: error. */
  readonly severity?: "error" | "warning" | "info";
  /** The file and 1-based line and column of the field, when the input came from a file. */
  readonly at?: FilePosition;
}

export interface FilePosition {
  readonly file: string;
  readonly line: number;
  readonly column?: number;
}

/** `shop.yaml:12: spec.http[0].timeout: "5" is not a duration (hint: write 5s)` */
export function formatProblem(problem: Problem): string {
  const at = problem.at ? `${problem.at.file}:${problem.at.line}: ` : "";
  const path = problem.path ? `${problem.path}: ` : "";
  const hint = problem.hint ? ` (hint: ${problem.hint})` : "";
  return `${at}${path}${problem.why}${hint}`;
}
