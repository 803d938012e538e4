import { describe, expect, it } from "vitest";
import { formatProblem } from "../common/base/problem.ts";
import { isLoopback, readControlPlaneSettings } from "./config.ts";

describe("readControlPlaneSettings", () => {
  it("has a default for everything", () => {
    const settings = readControlPlaneSettings({}, {});
    expect(settings).toMatchObject({
      ok: true,
      value: {
        config: [],
        xds: { host: "127.0.0.1", port: 15010 },
        http: { host: "127.0.0.1", port: 15014 },
        state: ".weft/control-plane",
        logLevel: "info",
        logFormat: "text",
      },
    });
  });

  it("says everything that is wrong at once, by flag", () => {
    const settings = readControlPlaneSettings(
      { xds: "15010", http: "0.0.0.0:15014", logLevel: "loud" },
      { WEFT_LOG_FORMAT: "xml" },
    );
    expect(settings.ok ? [] : settings.problems.map(formatProblem)).toEqual([
      expect.stringMatching(/^--http: "0\.0\.0\.0" is not a loopback address/),
      expect.stringMatching(/^--xds: "15010" is not HOST:PORT/),
      expect.stringMatching(/^--log-level: "loud" is none of/),
      expect.stringMatching(/^--log-format: "xml" is none of/),
    ]);
  });

  it.each([
    ["127.0.0.1", true],
    ["127.8.8.8", true],
    ["::1", true],
    ["localhost", true],
    ["127.0.0.1.evil.example", false],
    ["10.0.0.1", false],
    ["0.0.0.0", false],
  ])("knows whether %s is loopback: %s", (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });
});
