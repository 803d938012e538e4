import type { Workload } from "../../common/model/endpoint.ts";
import type { Layer } from "../http/layer.ts";
import { parsePeer, peerHeader } from "../http/peer-header.ts";

/**
 * Notes which workload says it calls, and keeps the header from the app. Equal texts give the same object, so metrics find their
 * series by it. Beyond a number of texts, further peers stay unknown, because a client that makes up names must not crowd out the
 * metrics; who has not called for a while makes room.
 */
export function readPeer(): Layer {
  const peers = new KnownPeers();
  return (next) => (exchange) => {
    const text = exchange.headers.get(peerHeader);
    if (text !== undefined) {
      exchange.headers.remove(peerHeader);
      exchange.peer = peers.find(text, exchange.startedAt);
    }
    return next(exchange);
  };
}

/** Two generations: who was not heard of while the younger lasted goes with the older. */
class KnownPeers {
  #young = new Map<string, Workload>();
  #old = new Map<string, Workload>();
  #changedAt: number | undefined = undefined;

  /** `at`: monotonic ms. */
  find(text: string, at: number): Workload | undefined {
    const known = this.#young.get(text);
    if (known !== undefined) return known;
    const peer = this.#old.get(text) ?? parsePeer(text);
    if (this.#young.size >= maxPeers) {
      this.#changedAt ??= at;
      if (at - this.#changedAt < quietMs) return this.#old.get(text);
      this.#old = this.#young;
      this.#young = new Map();
      this.#changedAt = at;
    }
    if (peer !== undefined) this.#young.set(text, peer);
    return peer;
  }
}

/** Per generation. */
const maxPeers = 512;
/** As long as metrics keep a label set that nobody uses. */
const quietMs = 600_000;
