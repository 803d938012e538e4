import type { RouteTable } from "../../common/routing/route-table.ts";
import { forwardClientCertificate } from "../filters/client-certificate.ts";
import type { Layer, Service } from "../http/layer.ts";
import { compose } from "../http/layer.ts";
import { readPeer } from "./read-peer.ts";
import { pickRoute } from "./routes.ts";

export interface InboundParts {
  /** Access log, metrics, the count of requests under way. */
  readonly observe: Layer;
  /** Reads whether a request is itself a retry, for the workload's own requests. */
  readonly readAttempt: Layer;
  /** Brings the path to its one form. */
  readonly normalize: Layer;
  /** Who may call. */
  readonly access: Layer;
  readonly routes: RouteTable<Service>;
}

/** The way of a request to the workload beside this proxy. */
export function inboundStack({ observe, normalize, access, readAttempt, routes }: InboundParts): Service {
  return compose(
    [
      observe, // outside of errorReply, so that it sees what was sent
      normalize, // before anything looks at the path
      forwardClientCertificate("append-forward", ["subject", "dns"]), // Istio's for sidecars
      readPeer(),
      access,
      readAttempt,
    ],
    pickRoute(routes),
  );
}
