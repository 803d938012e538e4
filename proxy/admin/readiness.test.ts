import { describe, expect, it } from "vitest";
import { Readiness } from "./readiness.ts";

describe("Readiness", () => {
  it("names the tasks that are still open and tells once when none is", () => {
    const readiness = new Readiness(["xds", "listeners"]);
    let told = 0;
    readiness.whenReady(() => told++);
    readiness.done("listeners");
    expect(readiness.open).toEqual(["xds"]);
    expect(told).toBe(0);
    readiness.done("xds");
    readiness.done("xds");
    expect(readiness.isReady).toBe(true);
    expect(told).toBe(1);
  });

  it("is unready again when a task opens again", () => {
    const readiness = new Readiness([]);
    readiness.reopen("drain");
    expect(readiness.open).toEqual(["drain"]);
  });
});
