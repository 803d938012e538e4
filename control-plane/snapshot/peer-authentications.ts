import type { Labels } from "../../common/model/endpoint.ts";
import type { CompiledPeerAuthentication, MutualTlsMode } from "../resources/peer-authentication/compiled.ts";
import type { Resource } from "../resources/resource.ts";
import { hasLabels } from "./endpoints.ts";
import type { ResourceProblem } from "./problems.ts";
import { keyOf, positionOf } from "./problems.ts";

export type { MutualTlsMode } from "../resources/peer-authentication/compiled.ts";

type PeerAuthenticationResource = Resource<CompiledPeerAuthentication>;

/** What callers must do, by whom they call. The same object as long as no PeerAuthentication changes. */
export interface PeerAuthenticationIndex {
  readonly resources: readonly PeerAuthenticationResource[];
  /** By namespace: the oldest one without a selector. */
  readonly namespaces: ReadonlyMap<string, CompiledPeerAuthentication>;
  /** By namespace: those with a selector, oldest first. */
  readonly workloads: ReadonlyMap<string, readonly CompiledPeerAuthentication[]>;
}

/** `resources` are oldest first. */
export function indexPeerAuthentications(
  resources: readonly PeerAuthenticationResource[],
  previous?: PeerAuthenticationIndex,
): PeerAuthenticationIndex {
  const isSame =
    previous?.resources.length === resources.length &&
    previous.resources.every((resource, index) => resource === resources[index]);
  if (isSame) return previous;
  const namespaces = new Map<string, CompiledPeerAuthentication>();
  const workloads = new Map<string, CompiledPeerAuthentication[]>();
  for (const { namespace, compiled } of resources) {
    if (isForAll(compiled)) {
      if (!namespaces.has(namespace)) namespaces.set(namespace, compiled);
      continue;
    }
    const list = workloads.get(namespace);
    if (list === undefined) workloads.set(namespace, [compiled]);
    else list.push(compiled);
  }
  return { resources, namespaces, workloads };
}

/**
 * What callers of one port of a workload must do, in Istio's order: the port's mode, the workload's policy, the namespace's, the mesh's (in
 * the root namespace), PERMISSIVE. Of several policies with the same reach the oldest counts. `ports`: the numbers by which the port is
 * known; the first that a policy names counts.
 */
export function mutualTlsMode(
  index: PeerAuthenticationIndex,
  { namespace, labels }: { readonly namespace: string; readonly labels: Labels },
  ports: readonly number[],
  rootNamespace: string,
): MutualTlsMode {
  const own = index.workloads.get(namespace)?.find(({ selector }) => hasLabels(labels, selector));
  const port = ports.find((number) => own?.ports.has(number));
  return (
    (port === undefined ? undefined : own?.ports.get(port)) ??
    own?.mode ??
    index.namespaces.get(namespace)?.mode ??
    index.namespaces.get(rootNamespace)?.mode ??
    "permissive"
  );
}

/** Policies that count for nothing, because an older one has the same reach. */
export function peerAuthenticationProblems(
  resources: readonly PeerAuthenticationResource[],
): ResourceProblem[] {
  const first = new Map<string, PeerAuthenticationResource>();
  return resources.flatMap((resource): ResourceProblem[] => {
    const { namespace, compiled } = resource;
    const reach = `${namespace} ${JSON.stringify(Object.entries(compiled.selector).sort())}`;
    const older = first.get(reach);
    if (older === undefined) {
      first.set(reach, resource);
      return [];
    }
    const what = isForAll(compiled) ? `all of namespace ${namespace}` : "the same workloads";
    return [
      {
        resource: keyOf(resource),
        path: "spec.selector",
        why: `PeerAuthentication ${older.namespace}/${older.name} is for ${what} too, is older and decides`,
        hint: "remove one of them",
        severity: "warning",
        ...positionOf(resource.source),
      },
    ];
  });
}

function isForAll({ selector }: CompiledPeerAuthentication): boolean {
  return Object.keys(selector).length === 0;
}
