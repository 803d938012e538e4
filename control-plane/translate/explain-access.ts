import type { Endpoint, Labels } from "../../common/model/endpoint.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import { proxyNodeId } from "../../common/model/node.ts";
import type { AccessSubject } from "../../common/routing/access-subject.ts";
import type { AccessExplanation } from "../../common/routing/explain-access.ts";
import { explainAccess } from "../../common/routing/explain-access.ts";
import type { RequestView } from "../../common/routing/request-view.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { accessFor } from "./access.ts";

/** What the policies at one place say to the request. */
export interface PlaceExplanation extends AccessExplanation {
  /** The gateway, or a workload to which the request may go. */
  readonly at: string;
}

/** Who calls, as its certificate says. */
export interface Caller {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** At a gateway: what its own policies say to a stranger. Empty when it has none. */
export function explainAtGateway(
  snapshot: Snapshot,
  node: ProxyNode,
  request: RequestView,
  port: number,
): readonly PlaceExplanation[] {
  const access = accessFor(snapshot, node);
  if (access === undefined) return [];
  const subject = { request, sourceIp: "", remoteIp: "", destinationIp: "", destinationPort: port };
  return [{ at: "the gateway", ...explainAccess(access, subject) }];
}

/**
 * What the policies of each workload behind the clusters say to a caller whose certificate was checked. Addresses and tokens are not
 * known, so questions about them fail. Workloads without policies are left out.
 */
export function explainAtWorkloads(
  snapshot: Snapshot,
  caller: Caller,
  request: RequestView,
  clusters: readonly string[],
): readonly PlaceExplanation[] {
  const domain = snapshot.settings.trustDomains?.[0] ?? "cluster.local";
  const { namespace, serviceAccount } = caller;
  const peer = {
    spiffeId: `spiffe://${domain}/ns/${namespace}/sa/${serviceAccount}`,
    namespace,
    serviceAccount,
  };
  const found = new Map<string, PlaceExplanation>();
  for (const { name, place, port } of clusters.flatMap((cluster) => workloadsBehind(snapshot, cluster))) {
    const access = accessFor(snapshot, nodeOf(name, place.namespace, place.labels));
    if (access === undefined || found.has(name)) continue;
    const subject: AccessSubject = {
      request,
      peer,
      sourceIp: "",
      remoteIp: "",
      destinationIp: "",
      destinationPort: port,
    };
    found.set(name, { at: name, ...explainAccess(access, subject) });
  }
  return [...found.values()];
}

interface Behind {
  readonly name: string;
  readonly place: { readonly namespace: string; readonly labels: Labels };
  readonly port: number;
}

function workloadsBehind({ services, endpoints }: Snapshot, cluster: string): readonly Behind[] {
  const [, port, , host = ""] = cluster.split("|");
  return (services.byHostname.get(host) ?? []).flatMap((service) => {
    const own: readonly Endpoint[] = endpoints.get(service.key)?.byPort.get(Number(port)) ?? [];
    return own.flatMap(({ workload, port: at }) =>
      workload === undefined
        ? []
        : [
            {
              name: workload.name || service.name,
              place: { namespace: workload.namespace || service.namespace, labels: workload.labels },
              port: at,
            },
          ],
    );
  });
}

function nodeOf(name: string, namespace: string, labels: Labels): ProxyNode {
  const identity = { kind: "sidecar" as const, name, namespace };
  return {
    ...identity,
    id: proxyNodeId(identity, "127.0.0.1"),
    serviceAccount: "default",
    labels,
    bindings: { servers: new Map() },
  };
}
