import type { ProxyNode } from "../common/model/node.ts";
import { proxyNodeId } from "../common/model/node.ts";
import type { Explanation } from "../common/routing/explain.ts";
import { explainRoute } from "../common/routing/explain.ts";
import type { RequestView } from "../common/routing/request-view.ts";
import { compileRoutes } from "../common/routing/route-table.ts";
import type { Snapshot } from "../control-plane/snapshot/snapshot.ts";
import type { SkippedRule } from "../control-plane/translate/proxy-resources.ts";
import { completeRouteConfiguration } from "../control-plane/translate/proxy-resources.ts";
import { translate } from "../control-plane/translate/translate.ts";

/** Who asks: a workload's sidecar, or a gateway at its edge. */
export interface Asker {
  readonly kind: "sidecar" | "gateway";
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What the matcher says, and the rules of the same host that this proxy was not given at all. */
export interface RequestExplanation extends Explanation {
  readonly leftOut: readonly SkippedRule[];
}

/**
 * Translates the snapshot for the asking proxy as the control plane would, and runs the proxy's own matcher over its routes.
 * `port`: for gateways the port of the Gateway's server. Undefined when such a proxy has no routes there.
 */
export function explainRequest(
  snapshot: Snapshot,
  asker: Asker,
  request: RequestView,
  port: number,
): RequestExplanation | undefined {
  const identity = { kind: asker.kind, name: "explain", namespace: asker.namespace };
  const node: ProxyNode = {
    ...identity,
    id: proxyNodeId(identity, "127.0.0.1"),
    serviceAccount: "default",
    labels: asker.labels,
    bindings: {
      ...(asker.kind === "sidecar" ? { outbound: { host: "127.0.0.1", port: 15_001 } } : {}),
      servers: new Map(),
    },
  };
  const resources = translate(snapshot, node);
  const name = asker.kind === "sidecar" ? "http_proxy" : `http.${port}`;
  const configuration = completeRouteConfiguration(resources, name);
  if (configuration === undefined) return undefined;
  const explanation = explainRoute(
    compileRoutes(configuration, () => undefined),
    request,
  );
  const host = explanation.virtualHost?.name;
  return { ...explanation, leftOut: resources.skipped.filter(({ virtualHost }) => virtualHost === host) };
}

/** The ports of the Gateway servers that a gateway with these labels opens. */
export function gatewayPorts(snapshot: Snapshot, labels: Asker["labels"]): readonly number[] {
  const selected = snapshot.gateways.filter(({ selector }) =>
    Object.entries(selector).every(([key, value]) => labels[key] === value),
  );
  const ports = selected.flatMap(({ servers }) => servers.map(({ port }) => port));
  return [...new Set(ports)].sort((a, b) => a - b);
}
