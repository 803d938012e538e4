import { describe, expect, it } from "vitest";
import { logLineForPeople } from "./log-line.ts";

const line = JSON.stringify({
  level: "warn",
  time: "2026-11-22T22:12:52.706Z",
  proxy: "payment-v1",
  server: "127.0.0.1:15010",
  problems: ["a.yaml:1: is bad", "a.yaml:2: is worse"],
  retryMs: 169,
  msg: "no control plane",
});

describe("a log line for people", () => {
  it("holds time, level, message and the fields that are not hidden", () => {
    expect(logLineForPeople(line, ["proxy"])).toBe(
      "22:12:52.706 warn  no control plane (server: 127.0.0.1:15010, problems: a.yaml:1: is bad; a.yaml:2: is worse, retryMs: 169)\n",
    );
  });

  it("leaves a message alone that says everything itself", () => {
    expect(logLineForPeople(line, "all")).toBe("22:12:52.706 warn  no control plane\n");
  });

  it("ends with an error's stack", () => {
    const failed = JSON.stringify({
      level: "error",
      time: "2026-11-22T22:12:52.706Z",
      msg: "broken",
      err: { message: "why", stack: "Error: why\n    at there" },
    });
    expect(logLineForPeople(failed, [])).toBe("22:12:52.706 error broken: Error: why\n    at there\n");
  });
});
