import type { Workload } from "../../common/model/endpoint.ts";
import type { Layer } from "../http/layer.ts";
import { formatPeer, peerHeader } from "../http/peer-header.ts";

/** Says who calls. What the app (or a client of a gateway) wrote there itself is replaced. */
export function tellPeer(self: Workload): Layer {
  const value = formatPeer(self);
  return (next) => (exchange) => {
    exchange.headers.set(peerHeader, value);
    return next(exchange);
  };
}
