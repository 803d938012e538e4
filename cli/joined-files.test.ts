import { describe, expect, it } from "vitest";
import { joinFiles } from "./joined-files.ts";

describe("joinFiles", () => {
  it("it leaves a single file as it is", () => {
    const joined = joinFiles([{ file: "a.yaml", text: "a: 1" }]);
    expect([joined.text, joined.name]).toEqual(["a: 1", "a.yaml"]);
    const problem = { path: "", why: "x", at: { file: "a.yaml", line: 7 } };
    expect(joined.place(problem)).toBe(problem);
  });

  it("it finds the file and line of a problem in the joined text", () => {
    const joined = joinFiles([
      { file: "a.yaml", text: "one\ntwo\n" },
      { file: "b.yaml", text: "three" },
      { file: "c.yaml", text: "four\n" },
    ]);
    const lines = joined.text.split("\n");
    const placeOf = (text: string) =>
      joined.place({ path: "", why: "", at: { file: joined.name, line: lines.indexOf(text) + 1, column: 2 } })
        .at;
    expect(["one", "two", "three", "four"].map(placeOf)).toEqual([
      { file: "a.yaml", line: 1, column: 2 },
      { file: "a.yaml", line: 2, column: 2 },
      { file: "b.yaml", line: 1, column: 2 },
      { file: "c.yaml", line: 1, column: 2 },
    ]);
    const elsewhere = { path: "", why: "", at: { file: "other.yaml", line: 1 } };
    expect(joined.place(elsewhere)).toBe(elsewhere);
  });
});
