import { meshError } from "../errors.ts";
import type { Layer } from "./layer.ts";

/**
 * Refuses requests at once while more than `most` are under way, so that those which were taken are answered in time and memory stays
 * flat: 503, flag OM, `x-envoy-overloaded` and `retry-after` (Envoy's overload manager). `active` counts the one that is judged, too.
 */
export function shedLoad(active: () => number, most: number): Layer {
  return (next) => (exchange) =>
    active() > most ? Promise.reject(meshError("overloaded", "too_many_active_requests")) : next(exchange);
}
