import type { Workload } from "../../common/model/endpoint.ts";
import type { Layer } from "../http/layer.ts";
import { parsePeer, peerHeader } from "../http/peer-header.ts";

/**
 * Notes which workload says it calls, and keeps the header from the app. Equal texts give the same object, so metrics find their
 * series by it. Texts are remembered up to a limit, because a client may make up any number of them.
 */
export function readPeer(): Layer {
  const known = new Map<string, Workload | undefined>();
  return (next) => (exchange) => {
    const text = exchange.headers.get(peerHeader);
    if (text !== undefined) {
      exchange.headers.remove(peerHeader);
      exchange.peer = known.get(text) ?? remember(known, text);
    }
    return next(exchange);
  };
}

function remember(known: Map<string, Workload | undefined>, text: string): Workload | undefined {
  const peer = parsePeer(text);
  if (peer === undefined) return undefined;
  if (known.size >= maxPeers) known.clear();
  known.set(text, peer);
  return peer;
}

const maxPeers = 1_024;
