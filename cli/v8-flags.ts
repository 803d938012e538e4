import { setFlagsFromString } from "node:v8";

/**
 * Makes V8 hold less memory for a proxy, at the same throughput; docs/decisions/006-memory-of-a-sidecar.md has the numbers. Call it before
 * the proxy's code is loaded: what V8 has grown by then it keeps. Set here and not on the command line, so that it holds however a proxy is started.
 */
export function setProxyV8Flags(): void {
  // New objects of a proxy die with their request, so 1 MB to start in is enough, and it stays in the processor's cache.
  setFlagsFromString("--semi-space-growth-factor=1");
  // A middle compiler pays off where code changes what it does; here the hot path is soon compiled for good by the last one.
  setFlagsFromString("--no-maglev");
}
