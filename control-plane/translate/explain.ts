import { closestName } from "../../common/base/closest.ts";
import type { Labels } from "../../common/model/endpoint.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import { proxyNodeId } from "../../common/model/node.ts";
import type { RouteConfiguration } from "../../common/model/route.ts";
import type { Explanation } from "../../common/routing/explain.ts";
import { explainRoute } from "../../common/routing/explain.ts";
import { compilePathNormalization } from "../../common/routing/normalize-path.ts";
import type { RequestView } from "../../common/routing/request-view.ts";
import { compileRoutes } from "../../common/routing/route-table.ts";
import { hasLabels } from "../snapshot/endpoints.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { pathNormalization } from "./entry.ts";
import type { PlaceExplanation } from "./explain-access.ts";
import { explainAtGateway, explainAtWorkloads } from "./explain-access.ts";
import { routeConfigurationName } from "./gateway.ts";
import { catchAlls, httpProxy } from "./outbound.ts";
import type { SkippedRule } from "./proxy-resources.ts";
import { completeRouteConfiguration, leftOutFor } from "./proxy-resources.ts";
import { translate } from "./translate.ts";

/** Who asks: a workload's sidecar, or a gateway at its edge. */
export interface Asker {
  readonly kind: "sidecar" | "gateway";
  readonly namespace: string;
  readonly labels: Labels;
  /** Absent: default. */
  readonly serviceAccount?: string;
}

/** What the matcher says, and the rules for the same host that this proxy was not given at all. */
export interface RequestExplanation extends Explanation {
  readonly leftOut: readonly SkippedRule[];
  /** What was perhaps meant, when no rule of any service takes the request. */
  readonly hint?: string;
  /** What policies say: at the gateway, and at the workloads where the request may arrive. */
  readonly access: readonly PlaceExplanation[];
}

/**
 * Translates the snapshot for the asking proxy and runs the proxies' own matcher over its routes, so what it says is what
 * they do. `port`: for gateways the port of the Gateway's server. Undefined when such a proxy has no routes there.
 */
export function explainRequest(
  snapshot: Snapshot,
  asker: Asker,
  asked: RequestView,
  port = 80,
): RequestExplanation | undefined {
  const node = nodeOf(asker);
  const resources = translate(snapshot, node);
  const request = normalized(snapshot, asker, asked);
  const plain = asker.kind === "sidecar" ? httpProxy : routeConfigurationName(port);
  // Behind an HTTPS port there are several: the one that knows the host is the one whose server name a client would ask for.
  const names = [...resources.routeConfigurations.keys()].filter(
    (name) => name === plain || name.startsWith(`https.${port}.`),
  );
  const explained = names.flatMap((name) => {
    const configuration = completeRouteConfiguration(resources, name);
    if (configuration === undefined) return [];
    const table = compileRoutes(configuration, () => undefined);
    return [{ configuration, explanation: explainRoute(table, request) }];
  });
  const found = explained.find(({ explanation }) => explanation.virtualHost !== undefined) ?? explained[0];
  if (found === undefined) return undefined;
  const { configuration, explanation } = found;
  const leftOut = leftOutFor(resources.skipped, request.authority, explanation.virtualHost?.name);
  const { virtualHost } = explanation;
  const host = withoutPort(request.authority).toLowerCase();
  const isUnknown = virtualHost === undefined || catchAlls.has(virtualHost.name);
  const said = isUnknown ? [`nobody that this proxy may see is called ${host}`] : [];
  const near =
    isUnknown || virtualHost.domain === "*" ? perhapsMeant(snapshot, asker, configuration, host) : undefined;
  const hint = [...said, near].filter((part) => part !== undefined).join("; ") || undefined;
  const clusters = explanation.chosen?.destinations.map(({ cluster }) => cluster) ?? [];
  const caller = { namespace: asker.namespace, serviceAccount: asker.serviceAccount ?? "default" };
  const access = [
    ...(asker.kind === "gateway" ? explainAtGateway(snapshot, node, request, port) : []),
    ...explainAtWorkloads(snapshot, caller, request, clusters),
  ];
  return { ...explanation, leftOut, access, ...(hint !== undefined && { hint }) };
}

/** The request with its path in the one form that the asking proxy would bring it to. */
function normalized({ settings }: Snapshot, { kind }: Asker, request: RequestView): RequestView {
  const path = compilePathNormalization(pathNormalization(settings, kind))?.(request.path) ?? request.path;
  // What would be refused or sent elsewhere is routed as it is, so that its author sees which rule was meant.
  const form = typeof path === "string" ? path : path.kind === "redirect" ? path.path : request.path;
  return { ...request, path: form, header: (name) => request.header(name) };
}

/** A service that is called so but is kept from the asker, else a known host whose name is much like it. */
function perhapsMeant(
  { services }: Snapshot,
  { kind, namespace }: Asker,
  { virtualHosts }: RouteConfiguration,
  host: string,
): string | undefined {
  const inMesh = [
    host,
    `${host}.${namespace}.svc.cluster.local`,
    `${host}.svc.cluster.local`,
    `${host}.cluster.local`,
  ];
  const [hidden] = inMesh.flatMap((name) => services.byHostname.get(name) ?? []);
  if (hidden !== undefined) {
    const where = `${hidden.source.kind} ${hidden.source.namespace}/${hidden.source.name}`;
    if (kind === "gateway")
      return `${hidden.hostname} (${where}) is a service, and no VirtualService brings it here`;
    return `${hidden.hostname} (${where}) has no HTTP port, or exportTo or a Sidecar keeps it from namespace ${namespace}`;
  }
  const known = new Set(virtualHosts.flatMap(({ domains }) => domains.map(withoutPort)));
  const meant = closestName(host, known);
  return meant === undefined ? undefined : `did you mean ${meant}?`;
}

function withoutPort(authority: string): string {
  return authority.replace(/:\d+$/, "");
}

/** The ports of the Gateway servers that a gateway with these labels opens. */
export function gatewayPorts(snapshot: Snapshot, labels: Labels): readonly number[] {
  const selected = snapshot.gateways.filter(({ selector }) => hasLabels(labels, selector));
  const ports = selected.flatMap(({ servers }) => servers.map(({ port }) => port));
  return [...new Set(ports)].sort((a, b) => a - b);
}

function nodeOf({ kind, namespace, labels }: Asker): ProxyNode {
  const identity = { kind, name: "explain", namespace };
  return {
    ...identity,
    id: proxyNodeId(identity, "127.0.0.1"),
    serviceAccount: "default",
    labels,
    bindings: {
      ...(kind === "sidecar" ? { outbound: { host: "127.0.0.1", port: 15_001 } } : {}),
      servers: new Map(),
    },
  };
}
