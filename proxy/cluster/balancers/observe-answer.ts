import { toMeshError } from "../../errors.ts";
import type { Response } from "../../http/exchange.ts";
import type { LatencyAverage } from "./latency-average.ts";

/** Notes how long an endpoint took to begin its answer, or that there was none. */
export function observeAnswer(
  answer: Promise<Response>,
  latency: LatencyAverage,
  sentAt: number,
  now: () => number,
): void {
  answer.then(
    ({ status, headers }) => {
      noteAnswer(latency, status, headers.get("retry-after"), sentAt, now());
    },
    (thrown: unknown) => {
      // What the client or we gave up says nothing of the endpoint.
      if (toMeshError(thrown).entry.side === "upstream") noteAnswer(latency, 503, undefined, sentAt, now());
    },
  );
}

/**
 * Refusals (429) and failures (5xx) are quick and would draw traffic, so they count as slow answers; an endpoint that says
 * `Retry-After` is left alone for about as long (as linkerd's load biaser does).
 */
export function noteAnswer(
  latency: LatencyAverage,
  status: number,
  retryAfter: string | undefined,
  sentAt: number,
  now: number,
): void {
  if (status < 500 && status !== 429) latency.observe(now - sentAt, now);
  else latency.penalize(Math.max(now - sentAt, retryAfterMs(retryAfter)), now);
}

/** Seconds only: a date would need the wall clock of the endpoint. */
function retryAfterMs(text: string | undefined): number {
  const seconds = text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : 0;
  return Math.max(failureMs, Math.min(seconds * 1_000, maxRetryAfterMs));
}

const failureMs = 1_000;
/** A server must not take itself out of the mesh for longer. */
const maxRetryAfterMs = 60_000;
