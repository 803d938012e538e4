import { describe, expect, it } from "vitest";
import { LogPrefix } from "./log-prefix.ts";

function collect(isColored = false) {
  const out: string[] = [];
  const log = new LogPrefix(["a", "longer"], isColored, (text) => out.push(text));
  return { out, log };
}

describe("LogPrefix", () => {
  it("it writes whole lines, names padded to one width, however the text is cut", () => {
    const { out, log } = collect();
    const sink = log.sink(log.prefixFor("a"));
    for (const part of ["on", "e\r\ntwo\n\nth", "ree"]) sink.write(part);
    expect(out).toEqual(["a      | one\n", "a      | two\n", "a      | \n"]);
    sink.end();
    expect(out.at(-1)).toBe("a      | three\n");
  });

  it("it cuts a line that never ends", () => {
    const { out, log } = collect();
    const sink = log.sink("");
    for (let count = 0; count < 100; count++) sink.write("x".repeat(4096));
    expect(out.length).toBeGreaterThan(4);
    expect(Math.max(...out.map((line) => line.length))).toBeLessThanOrEqual(64 * 1024 + 1);
  });

  it("it colours parts differently on a terminal only", () => {
    const { log } = collect(true);
    expect(log.prefixFor("a")).not.toBe(log.prefixFor("a"));
    expect(log.prefixFor("a")).toContain("\u001b[");
  });
});
