import { describe, expect, it } from "vitest";
import { createLog } from "./log.ts";

describe("the log", () => {
  it("follows its level, and children follow it too, also when it changes later", () => {
    const lines: string[] = [];
    const log = createLog("warn", (line) => lines.push(line));
    const child = log.child({ part: "xds" });
    child.info("quiet");
    log.setLevel("debug");
    child.debug("loud", { retryInMs: 100 });
    log.setLevel("silent");
    child.error("silenced");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: "debug", part: "xds", msg: "loud", retryInMs: 100 },
    ]);
  });

  it("prints an error with its message and stack", () => {
    const lines: string[] = [];
    createLog("info", (line) => lines.push(line)).error("broken", { err: new Error("why") });
    expect(JSON.parse(lines[0]!).err).toMatchObject({
      message: "why",
      stack: expect.stringContaining("log.test.ts"),
    });
  });

  it("prints lines for people when asked to, without its own name", () => {
    const lines: string[] = [];
    const log = createLog("info", (line) => lines.push(line), "text").child({ proxy: "review-v1" });
    log.warn("no control plane", { server: "127.0.0.1:15010" });
    expect(lines[0]).toMatch(/^[\d:.]{12} warn {2}no control plane \(server: 127\.0\.0\.1:15010\)\n$/);
  });
});
