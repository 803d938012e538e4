import { describe, expect, it } from "vitest";
import type { MemoryRow } from "../../bench/scenarios/memory.ts";
import { growth, memory, printMemory } from "../../bench/scenarios/memory.ts";

describe("the benchmark of memory", { skip: process.platform !== "linux" }, () => {
  it("shows that services which nobody calls cost a sidecar nothing when it asks on demand", async () => {
    const unused = [2, 60];
    const result = await memory({ rounds: 1, unused, requests: 40, proxies: 3, say: () => {} });
    const of = (isOnDemand: boolean, count: number): MemoryRow =>
      result.rows.find((row) => row.isOnDemand === isOnDemand && row.unused === count)!;
    for (const row of result.rows) expect(row.rssMb).toBeGreaterThan(row.privateMb);
    expect(of(true, 60).xdsBytes).toBeLessThan(of(true, 2).xdsBytes * 1.2);
    expect(of(false, 60).xdsBytes).toBeGreaterThan(of(false, 2).xdsBytes * 2);
    // Small meshes on a loaded machine: the budget is measured by `npm run bench -- memory`.
    expect(growth(result.rows, true, "rssMb")).toBeLessThan(0.2);
    const [onDemand, all] = result.sync;
    expect(onDemand!.bytesPerProxy).toBeGreaterThan(100);
    expect(onDemand!.bytesPerProxy).toBeLessThan(all!.bytesPerProxy / 5);
    expect(printMemory(result)).toMatch(/^\| on demand +\| +60 \|/m);
  });
});
