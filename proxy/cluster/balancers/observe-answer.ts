import { toMeshError } from "../../errors.ts";
import type { Response } from "../../http/exchange.ts";
import type { LatencyAverage } from "./latency-average.ts";

/**
 * Notes how long an endpoint took to begin its answer. Refusals (429) and failures (5xx, connection errors) are quick and would draw
 * traffic, so they count as slow answers; one that says `Retry-After` is left alone for about as long (linkerd's load biaser).
 */
export function observeAnswer(
  answer: Promise<Response>,
  latency: LatencyAverage,
  sentAt: number,
  now: () => number,
): void {
  answer.then(
    ({ status, headers }) => {
      const at = now();
      if (status < 500 && status !== 429) latency.observe(at - sentAt, at);
      else latency.penalize(Math.max(at - sentAt, retryAfterMs(headers.joined("retry-after"))), at);
    },
    (thrown: unknown) => {
      const { side } = toMeshError(thrown).entry;
      if (side === "upstream") latency.penalize(Math.max(now() - sentAt, failureMs), now());
    },
  );
}

/** Seconds only: endpoints of a mesh that give a date are not known. */
function retryAfterMs(text: string | undefined): number {
  const seconds = text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : 0;
  return Math.max(failureMs, Math.min(seconds * 1_000, maxRetryAfterMs));
}

const failureMs = 1_000;
/** A server must not take itself out of the mesh for longer. */
const maxRetryAfterMs = 60_000;
