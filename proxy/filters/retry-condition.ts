import type { RetryPolicy } from "../../common/model/route.ts";
import type { MeshError } from "../errors.ts";
import type { Response } from "../http/exchange.ts";
import { grpcStatusName } from "../http/grpc-status.ts";
import { retryVerdictHeader } from "../http/retry-headers.ts";

/** What an attempt came to: an answer, or none. */
export type AttemptResult = { readonly response: Response } | { readonly error: MeshError };

/** Which results are worth another attempt. */
export interface RetryCondition {
  /** Envoy's word for why `result` may be retried, undefined when it may not. Says nothing of whether it is safe to. */
  reasonFor(result: AttemptResult): string | undefined;
  /** False when only failures before the request was sent count, so nothing of it needs to be kept. */
  readonly coversSentRequests: boolean;
}

/** Without a policy: only what certainly did not reach the application. */
export const defaultRetryCondition: RetryCondition = {
  coversSentRequests: false,
  reasonFor: (result) =>
    "error" in result && result.error.entry.retry ? unsentReason(result.error) : undefined,
};

/** Reads a policy's words (Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on). Words that are none of them have no effect. */
export function compileRetryCondition({ on, statusCodes }: RetryPolicy): RetryCondition {
  const words = new Set(on);
  const statuses = new Set(words.has("retriable-status-codes") ? statusCodes : []);
  const anyFailure = ["5xx", "gateway-error", "reset"].find((word) => words.has(word));
  const reasonForError = (error: MeshError) => {
    if (!isUpstreamFailure(error)) return undefined;
    const reason = unsentReason(error);
    if (error.entry.retry && words.has(reason)) return reason;
    // A refused stream or an early reset is what HTTP/1.1 shows of either.
    if (error.code === "reset_before_request" && words.has("refused-stream")) return "refused-stream";
    return anyFailure;
  };
  const reasonForResponse = (response: Response) => {
    const { status } = response;
    // A proxy that sheds load says so; Envoy never retries it either.
    if (response.headers.has("x-envoy-overloaded") || response.headers.get(retryVerdictHeader) === "no")
      return undefined;
    if (status >= 500 && words.has("5xx")) return "5xx";
    if (status >= 502 && status <= 504 && words.has("gateway-error")) return "gateway-error";
    if (status === 409 && words.has("retriable-4xx")) return "retriable-4xx";
    if (statuses.has(status)) return "retriable-status-codes";
    if (words.has("envoy-ratelimited") && response.headers.has("x-envoy-ratelimited"))
      return "envoy-ratelimited";
    return grpcReason(response, words);
  };
  const unsent = new Set(["connect-failure", "refused-stream", "reset-before-request"]);
  return {
    coversSentRequests: on.some((word) => !unsent.has(word)),
    reasonFor: (result) =>
      "error" in result ? reasonForError(result.error) : reasonForResponse(result.response),
  };
}

/** Everything that the upstream or the way to it did; not the client's going away or the request's own time-out. */
function isUpstreamFailure({ code, entry }: MeshError): boolean {
  return entry.side === "upstream" && code !== "request_timeout" && code !== "upstream_overflow";
}

function unsentReason(error: MeshError): string {
  return error.code === "reset_before_request" ? "reset-before-request" : "connect-failure";
}

/** Only a status in the header section can be seen in time (a trailers-only response). */
function grpcReason(response: Response, words: ReadonlySet<string>): string | undefined {
  const status = response.headers.get("grpc-status");
  if (status === undefined) return undefined;
  const word = grpcStatusName(status).toLowerCase().replaceAll("_", "-");
  return grpcWords.has(word) && words.has(word) ? word : undefined;
}

const grpcWords: ReadonlySet<string> = new Set([
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
]);
