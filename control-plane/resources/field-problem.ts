/** Where a field lies: keys and list positions from the top of the object. */
export type FieldPath = readonly (string | number)[];

/** A Problem before its path is written out and its place in a file is looked up. */
export interface FieldProblem {
  readonly path: FieldPath;
  readonly why: string;
  readonly hint?: string;
  readonly severity?: "error" | "warning";
  /** The field that a misspelt one was meant to be, so that it is not also reported as missing. */
  readonly meant?: FieldPath;
}

/** `spec.http[0].match[1].headers["x.user"]` */
export function formatFieldPath(path: FieldPath): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (!/^[\w@:-]+$/.test(part)) text += `[${JSON.stringify(part)}]`;
    else text += text === "" ? part : `.${part}`;
  }
  return text;
}

/** Puts `prefix` before the path of each problem. */
export function below(prefix: FieldPath, problems: readonly FieldProblem[]): FieldProblem[] {
  return problems.map((problem) => ({ ...problem, path: [...prefix, ...problem.path] }));
}
