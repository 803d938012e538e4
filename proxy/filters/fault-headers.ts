import type { Exchange } from "../http/exchange.ts";

/** What a request asks to be done to itself (Envoy's fault filter, "Controlling fault injection via HTTP headers"). */

const names = {
  abort: "x-envoy-fault-abort-request",
  abortGrpc: "x-envoy-fault-abort-grpc-request",
  abortPercentage: "x-envoy-fault-abort-request-percentage",
  delay: "x-envoy-fault-delay-request",
  delayPercentage: "x-envoy-fault-delay-request-percentage",
  limit: "x-envoy-fault-throughput-response",
  limitPercentage: "x-envoy-fault-throughput-response-percentage",
} as const;

/** A fault that is asked for, and for what share of the requests: never more than `most`, 0..1. */
export interface AskedFault {
  readonly value: number;
  readonly fraction: number;
}

/** ms */
export function askedDelay(exchange: Exchange, most: number): AskedFault | undefined {
  return asked(exchange, names.delay, names.delayPercentage, most, 0, 2_147_483_647);
}

/** An HTTP status 200..599; comes before a gRPC status. */
export function askedAbort(exchange: Exchange, most: number): AskedFault | undefined {
  return asked(exchange, names.abort, names.abortPercentage, most, 200, 599);
}

/** The number of a gRPC status. */
export function askedGrpcAbort(exchange: Exchange, most: number): AskedFault | undefined {
  return asked(exchange, names.abortGrpc, names.abortPercentage, most, 0, 16);
}

/** KiB a second */
export function askedLimit(exchange: Exchange, most: number): AskedFault | undefined {
  return asked(exchange, names.limit, names.limitPercentage, most, 1, 2 ** 31);
}

/** Undefined when the header is absent or no whole number of the range; such a header does nothing, as in Envoy. */
function asked(
  { headers }: Exchange,
  name: string,
  percentageName: string,
  most: number,
  least: number,
  greatest: number,
): AskedFault | undefined {
  const value = wholeNumber(headers.get(name));
  if (value === undefined || value < least || value > greatest) return undefined;
  const percent = wholeNumber(headers.get(percentageName));
  return { value, fraction: percent === undefined ? most : Math.min(most, percent / 100) };
}

function wholeNumber(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? "";
  return /^\d{1,10}$/.test(trimmed) ? Number(trimmed) : undefined;
}
