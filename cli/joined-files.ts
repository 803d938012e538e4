import type { Problem } from "../common/base/problem.ts";
import type { ResourceFile } from "./read-files.ts";

/** Several files as one text of YAML documents, so that they are applied in one step; problems find their way back. */
export interface JoinedFiles {
  readonly text: string;
  /** What the text is called in problems. */
  readonly name: string;
  /** A problem of the joined text at its place in the file that it came from. */
  place(problem: Problem): Problem;
}

export function joinFiles(files: readonly ResourceFile[]): JoinedFiles {
  const [first] = files;
  if (files.length === 1 && first !== undefined) {
    return { text: first.text, name: first.file, place: (problem) => problem };
  }
  const name = "all files";
  const starts: { readonly file: string; readonly before: number }[] = [];
  let text = "";
  let lines = 0;
  for (const { file, text: own } of files) {
    starts.push({ file, before: lines });
    const part = `${own.endsWith("\n") ? own : `${own}\n`}---\n`;
    text += part;
    lines += part.split("\n").length - 1;
  }
  return {
    text,
    name,
    place(problem) {
      const { at } = problem;
      if (at?.file !== name) return problem;
      const start = starts.findLast(({ before }) => before < at.line);
      return start === undefined
        ? problem
        : { ...problem, at: { ...at, file: start.file, line: at.line - start.before } };
    },
  };
}
