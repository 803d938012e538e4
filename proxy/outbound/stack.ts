import type { Workload } from "../../common/model/endpoint.ts";
import type { Layer, Service } from "../http/layer.ts";
import { compose } from "../http/layer.ts";
import { forwardedFor, forwardedProto } from "./forwarded.ts";
import { removeOutsideHeaders } from "./outside-headers.ts";
import { requestId } from "./request-id.ts";
import type { CurrentRoutes } from "./routes.ts";
import { pickRoute } from "./routes.ts";
import { tellPeer } from "./tell-peer.ts";

export interface OutboundParts {
  /** Access log, metrics, the count of requests under way. */
  readonly observe: Layer;
  readonly self: Workload;
  readonly newRequestId: () => string;
  readonly routes: CurrentRoutes;
  /** On TLS: answers what another filter chain should have been asked. */
  readonly misdirected: Layer;
}

/** The way of a request that leaves the workload beside this proxy. The route's own filters follow `pickRoute`. */
export function sidecarStack({ observe, self, newRequestId, routes }: OutboundParts): Service {
  return compose(
    [
      observe, // outside of errorReply, so that it sees what was sent
      requestId(newRequestId),
      forwardedProto,
      tellPeer(self),
    ],
    pickRoute(routes),
  );
}

/** The way of a request that enters the mesh. */
export function gatewayStack({ observe, self, newRequestId, routes, misdirected }: OutboundParts): Service {
  return compose(
    [
      observe,
      removeOutsideHeaders, // before anything adds or reads a header of ours
      requestId(newRequestId),
      forwardedFor,
      tellPeer(self),
      misdirected,
    ],
    pickRoute(routes),
  );
}
