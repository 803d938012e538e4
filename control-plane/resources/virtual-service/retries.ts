import { z } from "zod";
import { closestName } from "../../../common/base/closest.ts";
import type { RetryPolicy } from "../../../common/model/route.ts";
import { durationField, durationMs } from "../fields/duration.ts";
import { integerField } from "../fields/numbers.ts";

/** Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on. */
const words = [
  "5xx",
  "gateway-error",
  "reset",
  "reset-before-request",
  "connect-failure",
  "envoy-ratelimited",
  "retriable-4xx",
  "refused-stream",
  "retriable-status-codes",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
] as const;
const wordsOfLater = ["retriable-headers", "http3-post-connect-failure"];

/** Istio's retryOn when a rule has retries but does not say on what. */
const defaultWords = ["connect-failure", "refused-stream", "unavailable", "cancelled"];
/** Envoy's back-off: 25 ms, and at most ten times the base. */
const defaultBackoffMs = 25;

const retryOn = z.string().superRefine((text, context) => {
  for (const word of split(text)) {
    if (isStatus(word) || (words as readonly string[]).includes(word)) continue;
    const quoted = JSON.stringify(word);
    if (wordsOfLater.includes(word)) {
      context.addIssue({ code: "custom", message: `${quoted} is not supported yet` });
      continue;
    }
    const closest = closestName(word, words);
    const hint = closest ? `did you mean ${closest}?` : `a status such as 503, or one of ${words.join(", ")}`;
    context.addIssue({ code: "custom", message: `${quoted} is not a reason to retry`, params: { hint } });
  }
});

/** Istio's HTTPRetry. */
export const retriesField = z
  .strictObject({
    attempts: integerField("a number of retries", 0, 2_147_483_647)
      .optional()
      .describe("After the first; 0 turns retries off."),
    perTryTimeout: durationField(1).optional(),
    retryOn: retryOn.optional().describe("Envoy's words and statuses, with commas between."),
    retryRemoteLocalities: z
      .boolean()
      .optional()
      .describe(
        "From the second retry on, leave the priority (of locality failover) where the attempts before went; default false.",
      ),
    retryIgnorePreviousHosts: z
      .boolean()
      .optional()
      .describe("Do not try an endpoint again that failed, while there are others; default true."),
    backoff: durationField(1).optional().describe("Least time between attempts, default 25ms."),
  })
  .superRefine((retries, context) => {
    if ((retries.attempts ?? 0) > 0) return;
    const { attempts: _, ...others } = retries;
    if (Object.values(others).every((value) => value === undefined)) return;
    context.addIssue({
      code: "custom",
      message: "sets a retry policy but attempts is 0, which turns retries off",
      params: { hint: "set attempts to 1 or more, or keep only attempts: 0" },
    });
  });

/** `perTryIdleTimeoutMs` comes from an annotation: Istio has no field for it. */
export function compileRetries(
  retries: z.infer<typeof retriesField>,
  perTryIdleTimeoutMs: number | undefined,
): RetryPolicy {
  const asked = split(retries.retryOn ?? "");
  const statusCodes = asked.filter(isStatus).map(Number);
  const on = asked.filter((word) => !isStatus(word));
  if (statusCodes.length > 0 && !on.includes("retriable-status-codes")) on.push("retriable-status-codes");
  const baseIntervalMs = durationMs(retries.backoff) ?? defaultBackoffMs;
  return {
    attempts: retries.attempts ?? 0,
    ...(retries.perTryTimeout === undefined ? {} : { perTryTimeoutMs: durationMs(retries.perTryTimeout) }),
    on: asked.length === 0 ? defaultWords : on,
    statusCodes,
    baseIntervalMs,
    maxIntervalMs: baseIntervalMs * 10,
    ...(perTryIdleTimeoutMs === undefined ? {} : { perTryIdleTimeoutMs }),
    ...(retries.retryIgnorePreviousHosts === false ? { mayRepeatHost: true } : {}),
    ...(retries.retryRemoteLocalities ? { leavesPriority: true } : {}),
  };
}

function split(text: string): string[] {
  return text.split(",").flatMap((part) => (part.trim() === "" ? [] : [part.trim()]));
}

function isStatus(word: string): boolean {
  return /^[1-5]\d\d$/.test(word);
}
