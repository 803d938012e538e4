import { isIPv6 } from "node:net";
import type { Layer } from "../http/layer.ts";

/** Beside a workload: says how the app spoke, unless somebody before us did. */
export const forwardedProto: Layer = (next) => (exchange) => {
  if (!exchange.headers.has("x-forwarded-proto")) exchange.headers.add("x-forwarded-proto", exchange.scheme);
  return next(exchange);
};

/** At the edge: says how and from where the client came (Envoy with use_remote_address). */
export const forwardedFor: Layer = (next) => (exchange) => {
  const { headers, downstream } = exchange;
  const address = downstream.remote.host;
  const before = headers.joined("x-forwarded-for");
  const client = isIPv6(address) && address.startsWith("::ffff:") ? address.slice(7) : address;
  headers.set("x-forwarded-for", before === undefined ? client : `${before},${client}`);
  headers.set("x-forwarded-proto", exchange.scheme);
  return next(exchange);
};
