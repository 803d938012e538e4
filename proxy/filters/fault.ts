import type { Clock } from "../../common/base/clock.ts";
import type { Random } from "../../common/base/random.ts";
import { grpcStatusNames } from "../../common/model/grpc-status.ts";
import type { FaultAbort, FaultDelay, FaultPolicy, FaultResponseLimit } from "../../common/model/route.ts";
import { isChosen } from "../../common/routing/fraction.ts";
import { throttleBody } from "../http/body-throttle.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { grpcStatusNumber, grpcStatusOfHttp, httpStatusOfGrpc, isGrpc } from "../http/grpc-status.ts";
import { ActiveFaults } from "./active-faults.ts";
import { askedAbort, askedDelay, askedGrpcAbort, askedLimit } from "./fault-headers.ts";
import type { Filter } from "./filter.ts";
import { localResponse } from "./local-response.ts";
import { wait } from "./wait.ts";

/**
 * Injects what a failing destination does: a delay, then an abort instead of an answer, or an answer that trickles (Istio's `fault`, own
 * kind Fault). Each has its own chance. What a request asks for in headers counts only where the route says so. Flags DI and FI.
 */
export const fault: Filter = {
  name: "fault",
  build({ fault: policy }, { clock, random, faults = new ActiveFaults() }) {
    const { delay, abort, responseLimit } = policy ?? {};
    if (delay === undefined && abort === undefined && responseLimit === undefined) return undefined;
    const injection = new Injection(policy!, random, faults);
    return (next) => async (exchange) => {
      const delayMs = delay && injection.delayMs(exchange, delay);
      if (delayMs !== undefined) {
        exchange.addFlag("DI");
        await wait(clock, exchange, delayMs);
      }
      const ending = abort && injection.ending(exchange, abort);
      if (ending !== undefined) return aborted(exchange, ending);
      const bytesPerSecond = responseLimit && injection.bytesPerSecond(exchange, responseLimit);
      if (bytesPerSecond === undefined) return next(exchange);
      return slowed(await next(exchange), bytesPerSecond, clock);
    };
  },
};

class Injection {
  readonly #policy: FaultPolicy;
  readonly #random: Random;
  readonly #faults: ActiveFaults;

  constructor(policy: FaultPolicy, random: Random, faults: ActiveFaults) {
    this.#policy = policy;
    this.#random = random;
    this.#faults = faults;
  }

  /** How long a request is held back; undefined when it is not. */
  delayMs(exchange: Exchange, delay: FaultDelay): number | undefined {
    const asked = delay.kind === "header" ? askedDelay(exchange, delay.fraction) : undefined;
    if (delay.kind === "header" && asked === undefined) return undefined;
    if (!isChosen(asked?.fraction ?? delay.fraction, this.#random)) return undefined;
    if (!this.#begin(exchange, "delay")) return undefined;
    if (delay.kind === "header") return asked!.value;
    if (delay.kind === "fixed") return delay.ms;
    // One minus, because random() can be 0 but never 1.
    return Math.min(-Math.log(1 - this.#random()) * delay.ms, longestTimerMs);
  }

  /** The status that a request ends with instead of being sent on; undefined when it is sent on. */
  ending(exchange: Exchange, abort: FaultAbort): Ending | undefined {
    let { fraction } = abort;
    let ending: Ending = abort;
    if (abort.fromHeader) {
      const http = askedAbort(exchange, fraction);
      const asked = http ?? askedGrpcAbort(exchange, fraction);
      if (asked === undefined) return undefined;
      fraction = asked.fraction;
      ending = http ? { httpStatus: http.value } : { grpcStatus: grpcStatusNames[asked.value]! };
    }
    return isChosen(fraction, this.#random) && this.#begin(exchange, "abort") ? ending : undefined;
  }

  /** How fast a request's answer may be sent; undefined: as fast as it comes. */
  bytesPerSecond(exchange: Exchange, { fraction, kibPerSecond }: FaultResponseLimit): number | undefined {
    const asked =
      kibPerSecond === undefined ? askedLimit(exchange, fraction) : { value: kibPerSecond, fraction };
    if (asked === undefined || !isChosen(asked.fraction, this.#random)) return undefined;
    return this.#begin(exchange, "response-limit") ? asked.value * 1024 : undefined;
  }

  #begin(exchange: Exchange, kind: "delay" | "abort" | "response-limit"): boolean {
    return this.#faults.begin(exchange, kind, this.#policy.maxActive);
  }
}

type Ending = Pick<FaultAbort, "httpStatus" | "grpcStatus">;

const longestTimerMs = 2_147_483_647;

/** An upgraded connection is no body that ends; it is left alone, as in Envoy. */
function slowed(response: Response, bytesPerSecond: number, clock: Clock): Response {
  if (response.status === 101 || response.body.length === 0) return response;
  return { ...response, body: throttleBody(response.body, bytesPerSecond, clock) };
}

/** As Envoy does: a gRPC request gets a gRPC answer even for an HTTP status, any other an HTTP answer even for a gRPC status. */
function aborted(exchange: Exchange, abort: Ending): Response {
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
