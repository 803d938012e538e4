import { flushCompileCache, getCompileCacheDir } from "node:module";
import { systemClock } from "../common/base/clock.ts";

/** ms after which a mesh's parts are past the rush of their start and the first requests. */
const settledMs = 10_000;
/** ms between the parts' turns: writing blocks a process, for half a second when twenty do it at once. */
const turnMs = 500;
const turns = 20;

/**
 * With a compile cache (NODE_COMPILE_CACHE, as `weft up` sets it) Node writes what it compiled only when a process ends of its
 * own accord. Long-lived parts write it after their start instead, so that a part that was killed starts twice as fast.
 */
export function writeCompileCacheSoon(): void {
  if (getCompileCacheDir() === undefined) return;
  systemClock.after(settledMs + (process.pid % turns) * turnMs, flushCompileCache);
}
