import type { ProxyNode } from "../../common/model/node.ts";
import type { Resource } from "../resources/resource.ts";
import type { CompiledSidecar } from "../resources/sidecar/compiled.ts";
import { hasLabels } from "./endpoints.ts";
import { covers } from "./hosts.ts";
import type { LiveSet } from "./live-set.ts";
import type { ResourceProblem } from "./problems.ts";
import { keyOf, positionOf } from "./problems.ts";
import { reuse } from "./reuse.ts";
import type { MeshSidecar, Snapshot } from "./snapshot.ts";

type SidecarResource = Resource<CompiledSidecar>;

/** `sidecars` are oldest first, and so is the result. */
export function buildSidecars(
  sidecars: readonly SidecarResource[],
  previous?: readonly MeshSidecar[],
): readonly MeshSidecar[] {
  const before = new Map(previous?.map((sidecar) => [nameOf(sidecar.key), sidecar]));
  return sidecars.map((resource) =>
    reuse(before.get(nameOf(resource)), [resource.compiled], () => {
      const { kind: _, source, ...said } = resource.compiled;
      return { key: keyOf(resource), ...said, source };
    }),
  );
}

/**
 * The Sidecar that holds for a proxy, as Istio chooses it: the oldest of its namespace that selects it by label, else the
 * namespace's default (the oldest without a selector), else the root namespace's default. Gateways have none.
 */
export function sidecarFor(
  { sidecars, settings }: Pick<Snapshot, "sidecars" | "settings">,
  node: Pick<ProxyNode, "kind" | "namespace" | "labels">,
): MeshSidecar | undefined {
  if (node.kind === "gateway" || sidecars.length === 0) return undefined;
  const own = sidecars.filter(({ key }) => key.namespace === node.namespace);
  return (
    own.find(({ workloadSelector }) => workloadSelector && hasLabels(node.labels, workloadSelector)) ??
    own.find(isDefault) ??
    sidecars.find((sidecar) => sidecar.key.namespace === settings.rootNamespace && isDefault(sidecar))
  );
}

/** Whether a Sidecar lets its workloads see a host of a namespace. `viewer`: the workload's namespace. */
export function imports(
  sidecar: MeshSidecar | undefined,
  namespace: string,
  host: string,
  viewer: string,
): boolean {
  if (sidecar?.egress === undefined) return true;
  return sidecar.egress.some((entry) => {
    const wanted = entry.namespace === "." ? viewer : entry.namespace;
    if (wanted !== "*" && wanted !== namespace) return false;
    return covers(entry.host, host) || (host.startsWith("*") && covers(host, entry.host));
  });
}

/** Warns both sides where two Sidecars are the default of one namespace, and of egress hosts that name nobody. */
export function sidecarProblems(live: LiveSet, services: Snapshot["services"]): ResourceProblem[] {
  const problems: ResourceProblem[] = [];
  const defaults = live.sidecars.filter(({ compiled }) => compiled.workloadSelector === undefined);
  for (const [namespace, [first, ...others]] of Map.groupBy(defaults, (resource) => resource.namespace)) {
    for (const other of others) {
      const about = (self: SidecarResource, rival: SidecarResource, verdict: string): ResourceProblem => ({
        resource: keyOf(self),
        path: "spec.workloadSelector",
        why: `Sidecar ${nameOf(rival)} is also the default of namespace ${namespace}; ${verdict}`,
        hint: "keep one, or give one of them a workloadSelector",
        severity: "warning",
        ...positionOf(self.source),
      });
      problems.push(
        about(other, first!, "that one is older, so this one has no effect"),
        about(first!, other, "this one is older and counts"),
      );
    }
  }
  return [...problems, ...live.sidecars.flatMap((resource) => unknownHosts(resource, live, services))];
}

function unknownHosts(
  resource: SidecarResource,
  live: LiveSet,
  services: Snapshot["services"],
): ResourceProblem[] {
  const viewer = resource.namespace;
  return (resource.compiled.egress ?? []).flatMap(({ namespace, host }, index) => {
    // Wildcards are often written for what is to come; an exact name that nobody has is more likely a slip.
    if (host.startsWith("*")) return [];
    const wanted = namespace === "." ? viewer : namespace;
    const isThere =
      services.byHostname.get(host)?.some((service) => wanted === "*" || service.namespace === wanted) ||
      live.virtualServices.some(
        ({ compiled, namespace: own }) =>
          (wanted === "*" || own === wanted) && compiled.hosts.some((pattern) => covers(pattern, host)),
      );
    if (isThere) return [];
    return {
      resource: keyOf(resource),
      path: `spec.egress[${resource.compiled.listeners?.length ?? 0}].hosts[${index}]`,
      why: `no service of namespace ${wanted} is called ${host}`,
      hint: "write its full name, such as reviews.default.svc.cluster.local",
      severity: "warning" as const,
      ...positionOf(resource.source),
    };
  });
}

function isDefault({ workloadSelector }: MeshSidecar): boolean {
  return workloadSelector === undefined;
}

function nameOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
