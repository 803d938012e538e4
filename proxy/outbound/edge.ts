import type { EdgeSettings } from "../../common/model/edge.ts";
import { defaultEdgeSettings } from "../../common/model/edge.ts";
import { meshError } from "../errors.ts";
import { forwardClientCertificate } from "../filters/client-certificate.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Layer } from "../http/layer.ts";
import { plainAddress } from "../net/cidr.ts";

/**
 * What a client from outside says of itself is taken away or checked before anybody listens to it: names of headers that two recipients read
 * differently, where it came from, which certificate it has.
 */
export function atTheEdge(settings: EdgeSettings = defaultEdgeSettings): Layer {
  const { clientCertificate, clientCertificateDetails, underscores, trustedHops } = settings;
  const layers = [
    ...(underscores === "allow" ? [] : [checkUnderscores(underscores)]),
    forwardClientCertificate(clientCertificate, clientCertificateDetails),
    forwardedFor(trustedHops),
  ];
  return (next) => layers.reduceRight((inner, layer) => layer(inner), next);
}

/** `x_user` is `x-user` to many frameworks: a policy or route that looks at the one must not be got round by the other. */
function checkUnderscores(action: "reject" | "drop"): Layer {
  return (next) => (exchange) => {
    const { raw } = exchange.headers;
    for (let i = raw.length - 2; i >= 0; i -= 2) {
      if (!raw[i]!.includes("_")) continue;
      if (action === "reject") return Promise.reject(meshError("bad_request", "unexpected_underscore"));
      raw.splice(i, 2);
    }
    return next(exchange);
  };
}

/**
 * Where the client came from (Envoy's use_remote_address and xff_num_trusted_hops). Without trusted proxies before us what stands in
 * X-Forwarded-For is a claim and goes; with N of them, the Nth address from its end is the client's.
 */
function forwardedFor(trustedHops: number): Layer {
  return (next) => (exchange) => {
    const { headers, downstream } = exchange;
    const address = plainAddress(downstream.remote.host);
    const before = trustedHops === 0 ? undefined : headers.joined("x-forwarded-for");
    const said = before?.split(",").map((part) => part.trim()) ?? [];
    exchange.clientAddress = said.at(-trustedHops) ?? address;
    headers.set("x-forwarded-for", [...said, address].join(","));
    if (trustedHops === 0 || !isScheme(exchange)) headers.set("x-forwarded-proto", exchange.scheme);
    return next(exchange);
  };
}

/** Whether the proxies before us said how the client spoke. */
function isScheme({ headers }: Exchange): boolean {
  const said = headers.joined("x-forwarded-proto");
  return said === "http" || said === "https";
}
