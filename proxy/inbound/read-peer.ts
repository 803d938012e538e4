import type { Workload } from "../../common/model/endpoint.ts";
import type { Layer } from "../http/layer.ts";
import { parsePeer, peerHeader } from "../http/peer-header.ts";

/**
 * Notes which workload says it calls, and keeps the header from the app. Equal texts give the same object, so metrics find their
 * series by it. Beyond a number of texts, further peers stay unknown: a client that makes up names must not crowd out the metrics.
 */
export function readPeer(): Layer {
  const known = new Map<string, Workload>();
  return (next) => (exchange) => {
    const text = exchange.headers.get(peerHeader);
    if (text !== undefined) {
      exchange.headers.remove(peerHeader);
      exchange.peer = known.get(text) ?? remember(known, text);
    }
    return next(exchange);
  };
}

function remember(known: Map<string, Workload>, text: string): Workload | undefined {
  if (known.size >= maxPeers) return undefined;
  const peer = parsePeer(text);
  if (peer !== undefined) known.set(text, peer);
  return peer;
}

const maxPeers = 512;
