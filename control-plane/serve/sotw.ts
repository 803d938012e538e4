import type { DiscoveryRequest, DiscoveryResponse } from "../../common/xds/ads.ts";
import { resourceKind, typeUrl } from "../../common/xds/type-url.ts";
import type { ProxySession, Responder } from "./session.ts";

/**
 * State of the world: listeners and clusters always come whole, because what is missing counts as deleted; route configurations and
 * endpoints come when they changed. `write` answers as a stream's `write` does.
 */
export function sotwResponder(write: (response: DiscoveryResponse) => boolean): Responder {
  return {
    protocol: "sotw",
    send: ({ kind, nonce, version, changed, all }) => {
      const isWhole = kind === "cluster" || kind === "listener";
      const resources = Array.from(isWhole ? all() : changed, ({ bytes }) => bytes);
      return write({ typeUrl: typeUrl[kind], versionInfo: version, nonce, resources });
    },
  };
}

/** Reads a DiscoveryRequest. One that answers an older response is ignored whole: the client will answer the newer one too. */
export function takeSotwRequest(session: ProxySession, request: DiscoveryRequest): string | undefined {
  const kind = resourceKind(request.typeUrl);
  // Virtual hosts exist in the delta protocol only.
  if (!kind || kind === "virtual-host") return undefined;
  const subscription = session.subscription(kind);
  const isAnswer = request.responseNonce !== "" && subscription.isStarted;
  if (isAnswer && !session.answered(kind, request.responseNonce, request.error)) {
    if (session.delivery(kind).inFlight) return undefined;
  }
  const excess = subscription.replace(request.resourceNames);
  if (excess !== undefined) return excess;
  session.subscriptionChanged(kind);
  session.advance();
  return undefined;
}
