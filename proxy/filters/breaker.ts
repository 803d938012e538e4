import type { DirectResponseFallback } from "../../common/model/circuit-breaker.ts";
import { Body } from "../http/body.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import type { Service } from "../http/layer.ts";
import { Circuit, FailedCall } from "./circuit.ts";
import type { Filter, FilterContext } from "./filter.ts";
import { localResponse } from "./local-response.ts";

/**
 * Stops calling a destination that fails or is slow, and answers in its place (own kind CircuitBreaker). A request counts once,
 * whatever its retries. A fallback answers failed calls too, not only those that an open circuit holds back. Flag UO.
 */
export const breaker: Filter = {
  name: "breaker",
  build(_route, context) {
    const { destination } = context;
    const policy = destination?.breaker;
    if (policy === undefined || destination === undefined) return undefined;
    const circuit =
      context.circuits?.obtain(policy, destination.destination) ??
      new Circuit(policy, destination.destination, context.clock);
    const answer = fallbackOf(circuit, context);
    const { lastGood } = circuit;
    return (next) => (exchange) => {
      const key = lastGood?.keyOf(exchange);
      const answered = circuit.run(next, exchange);
      return answered.then(
        key === undefined ? undefined : (response) => lastGood!.keep(key, response),
        (thrown) => answerInstead(thrown, exchange, key, answer),
      );
    };
  },
};

/** Undefined when it has no answer for this request. */
type FallbackAnswer = (
  exchange: Exchange,
  key: string | undefined,
) => Response | Promise<Response> | undefined;

function answerInstead(
  thrown: unknown,
  exchange: Exchange,
  key: string | undefined,
  answer: FallbackAnswer,
): Response | Promise<Response> {
  const isFailed = thrown instanceof FailedCall;
  const isOpen = !isFailed && (thrown as { code?: unknown }).code === "circuit_open";
  const instead = isFailed || isOpen ? answer(exchange, key) : undefined;
  if (instead !== undefined) {
    if (isOpen) exchange.addFlag("UO");
    if (isFailed && thrown.error !== undefined) exchange.addFlag(thrown.error.entry.flag);
    // Nobody reads what the destination answered.
    if (isFailed) thrown.response?.body.cancel();
    return instead;
  }
  if (!isFailed) throw thrown;
  if (thrown.response === undefined) throw thrown.error;
  return thrown.response;
}

function fallbackOf(circuit: Circuit, context: FilterContext): FallbackAnswer {
  const { fallback } = circuit.policy;
  if (fallback === undefined) return () => undefined;
  const counted = (answered: Response | Promise<Response> | undefined) => {
    if (answered !== undefined) circuit.fallbacks++;
    return answered;
  };
  switch (fallback.kind) {
    case "direct-response":
      return (exchange) => counted(directly(exchange, fallback));
    case "destination": {
      const send = context.upstream(fallback.destination);
      return (exchange) => counted(sendElsewhere(exchange, send));
    }
    case "last-good-response":
      return (exchange, key) => {
        const found = key === undefined ? undefined : circuit.lastGood?.find(key);
        if (found !== undefined) exchange.detail = "circuit_breaker_fallback";
        return counted(found);
      };
  }
}

function directly(exchange: Exchange, { status, body, headers }: DirectResponseFallback): Response {
  return localResponse(exchange, "circuit_breaker_fallback", status, headers.flat(), Buffer.from(body));
}

/** A request goes elsewhere as long as nobody has given it up and its body is whole. */
function sendElsewhere(exchange: Exchange, send: Service): Promise<Response> | undefined {
  if (exchange.cancelCause !== undefined) return undefined;
  if (exchange.body.length === 0) exchange.body = Body.empty();
  else if (!exchange.body.isUntouched) return undefined;
  return send(exchange);
}
