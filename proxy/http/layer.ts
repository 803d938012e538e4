import type { Exchange, Response } from "./exchange.ts";

/** Answers an exchange. Rejects with a MeshError, which one layer (`error reply`) turns into a response. */
export type Service = (exchange: Exchange) => Promise<Response>;

/** Wraps a service with one concern. Built when config is compiled, never per request. */
export type Layer = (next: Service) => Service;

/** `compose([a, b], last)` runs a, then b, then last: the list reads as the request travels. */
export function compose(layers: readonly Layer[], last: Service): Service {
  return layers.reduceRight((next, layer) => layer(next), last);
}
