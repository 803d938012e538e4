import type { Random } from "../../common/base/random.ts";
import type { FaultAbort, FaultDelay } from "../../common/model/route.ts";
import { isChosen } from "../../common/routing/fraction.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { grpcStatusNumber, grpcStatusOfHttp, httpStatusOfGrpc, isGrpc } from "../http/grpc-status.ts";
import type { Filter } from "./filter.ts";
import { localResponse } from "./local-response.ts";
import { wait } from "./wait.ts";

/**
 * Injects what a failing destination does: a delay, then perhaps an abort instead of an answer (Istio's `fault`). Each has its own
 * chance. Flags DI and FI.
 */
export const fault: Filter = {
  name: "fault",
  build({ fault: policy }, { clock, random }) {
    const { delay, abort } = policy ?? {};
    if (delay === undefined && abort === undefined) return undefined;
    return (next) => async (exchange) => {
      if (delay !== undefined && isChosen(delay.fraction, random)) {
        exchange.addFlag("DI");
        await wait(clock, exchange, delayMs(delay, random));
      }
      if (abort !== undefined && isChosen(abort.fraction, random)) return aborted(exchange, abort);
      return next(exchange);
    };
  },
};

function delayMs({ kind, ms }: FaultDelay, random: Random): number {
  if (kind === "fixed") return ms;
  // One minus, because random() can be 0 but never 1.
  return Math.min(-Math.log(1 - random()) * ms, longestTimerMs);
}

const longestTimerMs = 2_147_483_647;

/** As Envoy does: a gRPC request gets a gRPC answer even for an HTTP status, any other an HTTP answer even for a gRPC status. */
function aborted(exchange: Exchange, abort: FaultAbort): Response {
  exchange.addFlag("FI");
  const detail = "fault_filter_abort";
  const message = "fault filter abort";
  if (!isGrpc(exchange)) {
    const status = abort.httpStatus ?? httpStatusOfGrpc(abort.grpcStatus ?? "UNAVAILABLE");
    return localResponse(exchange, detail, status, ["content-type", "text/plain"], Buffer.from(message));
  }
  const grpcStatus = abort.grpcStatus ?? grpcStatusOfHttp(abort.httpStatus ?? 503);
  const number = String(grpcStatusNumber(grpcStatus));
  const fields = ["content-type", "application/grpc", "grpc-status", number, "grpc-message", message];
  return localResponse(exchange, detail, 200, fields);
}
