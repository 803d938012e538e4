import type { Layer } from "../http/layer.ts";

/** Gives each request an `x-request-id` when it has none, so that the log lines of all its hops can be found together (Envoy's header). */
export function requestId(newId: () => string): Layer {
  return (next) => (exchange) => {
    if (!exchange.headers.has("x-request-id")) exchange.headers.add("x-request-id", newId());
    return next(exchange);
  };
}
