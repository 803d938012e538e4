import type { Layer } from "../http/layer.ts";

/** Beside a workload: says how the app spoke, unless somebody before us did. */
export const forwardedProto: Layer = (next) => (exchange) => {
  if (!exchange.headers.has("x-forwarded-proto")) exchange.headers.add("x-forwarded-proto", exchange.scheme);
  return next(exchange);
};
