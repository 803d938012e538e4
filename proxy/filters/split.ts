import type { WeightedDestination } from "../../common/model/route.ts";
import { pickWeighted } from "../../common/routing/pick-weighted.ts";
import type { Service } from "../http/layer.ts";
import type { FilterContext } from "./filter.ts";

/**
 * Picks one destination per request by weight, so that all attempts of a request go to the same one, and notes its cluster.
 * `build` makes the rest of the way to a destination, once for each.
 */
export function split(
  destinations: readonly WeightedDestination[],
  { random }: FilterContext,
  build: (destination: WeightedDestination) => Service,
): Service {
  const ways = destinations.map((destination) => ({
    weight: destination.weight,
    cluster: destination.destination,
    send: build(destination),
  }));
  return (exchange) => {
    const way = pickWeighted(ways, random);
    exchange.cluster = way.cluster;
    return way.send(exchange);
  };
}
