import type { Clock } from "../../common/base/clock.ts";
import { meshError } from "../errors.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Filter } from "./filter.ts";

/**
 * Gives a request up that is not answered completely in time (Istio's `timeout`, Envoy's route timeout). Time runs from the end of
 * the request to the end of the response, so a slow upload that makes progress is not cut off; one that stands still for as long
 * as the time-out is. Retries, delays and back-offs are inside. An upgraded connection is timed up to its 101 only.
 */
export const timeout: Filter = {
  name: "timeout",
  build(route, { clock }) {
    const ms = route.action.kind === "forward" ? (route.action.timeoutMs ?? 0) : 0;
    if (ms <= 0) return undefined;
    return (next) => (exchange) => {
      const stop = startTimer(clock, exchange, ms);
      exchange.onFinish(stop);
      const response = next(exchange);
      if (exchange.upgrade !== undefined) response.then(stop, stop);
      return response;
    };
  },
};

function startTimer(clock: Clock, exchange: Exchange, ms: number): () => void {
  // Without a body, and for an upgrade, the request ends with its header section.
  const hasBodyToCome = exchange.upgrade === undefined && !exchange.body.isComplete;
  let received = exchange.bytesReceived;
  const expire = () => {
    const remaining = hasBodyToCome ? remainingMs() : 0;
    if (remaining > 0) stop = clock.after(remaining, expire);
    else exchange.cancel(meshError("request_timeout", "response_timeout"));
  };
  const remainingMs = () => {
    if (exchange.requestCompleteAt > 0) return exchange.requestCompleteAt + ms - clock.monotonic();
    const hasProgress = exchange.bytesReceived > received;
    received = exchange.bytesReceived;
    return hasProgress ? ms : 0;
  };
  let stop = clock.after(ms, expire);
  return () => stop();
}
