import { describe, expect, it } from "vitest";
import { printPush, push } from "../../bench/scenarios/push.ts";

describe("the benchmark of changes", () => {
  it("follows each change to the last of several proxies", async () => {
    const result = await push({ proxies: 4, services: 20, endpoints: 3, changes: 2, say: () => {} });
    expect(result.rows.map(({ change }) => change)).toEqual([
      "rule applied over HTTP",
      "rule written to a file",
      "endpoint added",
      "endpoint removed",
    ]);
    for (const { change, p50Ms, p99Ms, bytesPerProxy } of result.rows) {
      // Whole milliseconds: on a calm machine a change can take less than one.
      expect(p50Ms, change).toBeGreaterThanOrEqual(0);
      expect(p99Ms, change).toBeGreaterThanOrEqual(p50Ms);
      expect(bytesPerProxy, change).toBeGreaterThan(50);
    }
    expect(printPush(result)).toMatch(/20 services × 3 endpoints, 4 proxies: in step after [\d.]+ s/);
  });
});
