import type { Workload } from "../../common/model/endpoint.ts";
import { forwardClientCertificate } from "../filters/client-certificate.ts";
import type { Layer, Service } from "../http/layer.ts";
import { compose } from "../http/layer.ts";
import { forwardedProto } from "./forwarded.ts";
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
  /** Brings the path to its one form. */
  readonly normalize: Layer;
  /** At gateways: what is done about what strangers say of themselves. */
  readonly edge: Layer;
  /** Who may call; at gateways. */
  readonly access: Layer;
  readonly routes: CurrentRoutes;
  /** On TLS: answers what another filter chain should have been asked. */
  readonly misdirected: Layer;
}

/** The way of a request that leaves the workload beside this proxy. The route's own filters follow `pickRoute`. */
export function sidecarStack({ observe, self, normalize, newRequestId, routes }: OutboundParts): Service {
  return compose(
    [
      observe, // outside of errorReply, so that it sees what was sent
      normalize, // before anything looks at the path
      requestId(newRequestId),
      forwardedProto,
      forwardClientCertificate("sanitize", []), // the workload beside us has no certificate to tell of
      tellPeer(self),
    ],
    pickRoute(routes),
  );
}

/** The way of a request that enters the mesh. */
export function gatewayStack(parts: OutboundParts): Service {
  const { observe, self, normalize, edge, access, newRequestId, routes, misdirected } = parts;
  return compose(
    [
      observe,
      removeOutsideHeaders, // before anything adds or reads a header of ours
      edge,
      normalize,
      requestId(newRequestId),
      tellPeer(self),
      misdirected,
      access, // routes may ask for claims of the token that it verifies
    ],
    pickRoute(routes),
  );
}
