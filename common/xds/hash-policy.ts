import type { HashPolicy } from "../model/route.ts";
import type messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";
import { fromDuration, toDuration } from "./wire.ts";

type WireHashPolicy = messages.envoy.config.route.v3.RouteAction.HashPolicy;

export function toHashPolicy(policy: HashPolicy): WireHashPolicy {
  switch (policy.kind) {
    case "header":
      return { header: { headerName: policy.name } };
    case "cookie":
      return {
        cookie: {
          name: policy.name,
          ...(policy.path === undefined ? {} : { path: policy.path }),
          ...(policy.ttlMs === undefined ? {} : { ttl: toDuration(policy.ttlMs) }),
          ...(policy.attributes && {
            attributes: policy.attributes.map(([name, value]) => ({ name, value })),
          }),
        },
      };
    case "source-ip":
      return { connectionProperties: { sourceIp: true } };
    case "query-parameter":
      return { queryParameter: { name: policy.name } };
  }
}

/** An empty list for a policy that says nothing, and for one that is refused: another key than meant would spread the requests anew. */
export function fromHashPolicy(wire: WireHashPolicy, path: string, reading: Reading): HashPolicy[] {
  reading.refuseUnknown(wire, "envoy.config.route.v3.RouteAction.HashPolicy", path);
  if (wire.terminal) reading.problem(`${path}.terminal`, "is not supported");
  if (wire.header) {
    if (wire.header.regexRewrite) reading.problem(`${path}.header.regexRewrite`, "is not supported");
    return [{ kind: "header", name: (wire.header.headerName ?? "").toLowerCase() }];
  }
  if (wire.cookie) {
    reading.refuseUnknown(
      wire.cookie,
      "envoy.config.route.v3.RouteAction.HashPolicy.Cookie",
      `${path}.cookie`,
    );
    const { name, path: cookiePath, ttl, attributes } = wire.cookie;
    return [
      {
        kind: "cookie",
        name: name ?? "",
        ...(cookiePath ? { path: cookiePath } : {}),
        ...(ttl ? { ttlMs: fromDuration(ttl) } : {}),
        ...(attributes?.length
          ? { attributes: attributes.map(({ name, value }) => [name ?? "", value ?? ""] as const) }
          : {}),
      },
    ];
  }
  if (wire.queryParameter) return [{ kind: "query-parameter", name: wire.queryParameter.name ?? "" }];
  return wire.connectionProperties?.sourceIp ? [{ kind: "source-ip" }] : [];
}
