import { breaker } from "./breaker.ts";
import { cors } from "./cors.ts";
import { fault } from "./fault.ts";
import type { Filter } from "./filter.ts";
import { hashKey } from "./hash-key.ts";
import { headers } from "./headers.ts";
import { mirror } from "./mirror.ts";
import { rateLimit } from "./rate-limit.ts";
import { retry } from "./retry.ts";
import { rewrite } from "./rewrite.ts";
import { timeout } from "./timeout.ts";

/** The one order of route filters, as the request travels: those before the split by weight, then those after it. */

export const filtersBeforeSplit: readonly Filter[] = [
  // Outermost, so that redirects, direct responses and injected faults are readable for the page that asked.
  cors,
  // Before everything that costs something; inside cors, so that the page that asked can read its 429.
  rateLimit,
  // Around everything that takes time. A fault delay counts: it stands for a slow destination.
  timeout,
];

export const filtersAfterSplit: readonly Filter[] = [
  // Before rewrite: values may name the path as the client sent it.
  headers,
  rewrite,
  // After headers and rewrite, as in Envoy; around retry, so that all attempts have one key, and a request gets one cookie.
  hashKey,
  // Around retry, so that a request counts once and an open circuit costs no attempt; around mirror, because a request that is not
  // sent has no copy; inside headers, so that a fallback's answer gets the route's response headers too.
  breaker,
  // After headers and rewrite, so the copy is what the primary gets; around retry, so there is one copy per request.
  mirror,
  retry,
  // Inside retry, because an injected failure stands for a failing destination: retry and its per-try time-out treat it alike.
  // That is how fault, time-out and retry on one route all apply (Istio turns the other two off).
  fault,
];
