import type { DeltaRequest, DeltaResponse } from "../../common/xds/ads.ts";
import { weftControlPlane } from "../../common/xds/ads.ts";
import { resourceKind, typeUrl } from "../../common/xds/type-url.ts";
import type { ProxySession, Responder } from "./session.ts";
import { excessOfVersions } from "./subscriptions.ts";

/** Sends what changed, each resource with its own version. `write` answers as a stream's `write` does. */
export function deltaResponder(write: (response: DeltaResponse) => boolean): Responder {
  return {
    protocol: "delta",
    send: ({ kind, nonce, version, changed, removed, aliasesOf }) => {
      const resources = changed.map((resource) => {
        const aliases = aliasesOf(resource.name);
        return aliases.length === 0 ? resource : { ...resource, aliases };
      });
      const controlPlane = weftControlPlane;
      return write({
        typeUrl: typeUrl[kind],
        systemVersion: version,
        nonce,
        resources,
        removed,
        controlPlane,
      });
    },
  };
}

/**
 * Reads a DeltaDiscoveryRequest, which may answer a response, change the subscription, or both. Subscription changes count
 * even when the answer is to an older response. Returns what was wrong, if the stream must end for it.
 */
export function takeDeltaRequest(session: ProxySession, request: DeltaRequest): string | undefined {
  const kind = resourceKind(request.typeUrl);
  // A type that we do not serve: the client goes on without it.
  if (!kind) return undefined;
  const subscription = session.subscription(kind);
  const isFirst = !subscription.isStarted;
  if (request.responseNonce !== "") session.answered(kind, request.responseNonce, request.error);
  if (isFirst || request.subscribe.length > 0 || request.unsubscribe.length > 0) {
    // Who asks again for a name has dropped it meanwhile.
    const again = request.subscribe.filter((name) => subscription.names.has(name));
    const excess = subscription.change(request.subscribe, request.unsubscribe);
    if (excess !== undefined) return excess;
    if (isFirst) {
      const many = excessOfVersions(kind, request.initialVersions);
      if (many !== undefined) return many;
      const wanted = [...request.initialVersions].filter(([name]) => subscription.matches(name));
      session.adopt(kind, new Map(wanted));
    }
    session.subscriptionChanged(kind, again, isFirst);
  }
  session.advance();
  return undefined;
}
