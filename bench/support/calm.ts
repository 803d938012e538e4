import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

/** The share of a core that others may use while the benchmark measures nothing itself; above, the machine counts as busy. */
const calmBelow = 0.3;
const sampleMs = 500;

/**
 * Waits until the rest of the machine is quiet, all waits of a run together no longer than `patienceMs`. Answers false when it gave up.
 * Linux only: elsewhere every moment counts as calm.
 */
export function calmWaiter(patienceMs: number): () => Promise<boolean> {
  let leftMs = patienceMs;
  return async () => {
    for (;;) {
      const before = busyCoreMs();
      if (before === undefined) return true;
      const startedAt = performance.now();
      await wait(sampleMs);
      const elapsedMs = performance.now() - startedAt;
      if ((busyCoreMs()! - before) / elapsedMs < calmBelow) return true;
      if (leftMs <= 0) return false;
      leftMs -= elapsedMs;
    }
  };
}

/** CPU time in ms that all cores together have spent on anything. */
function busyCoreMs(): number | undefined {
  if (process.platform !== "linux") return undefined;
  const [user, nice, system, , , irq, softIrq] = readFileSync("/proc/stat", "utf8")
    .split("\n", 1)[0]!
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return 10 * (user! + nice! + system! + irq! + softIrq!);
}
