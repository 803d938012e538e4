import type { FieldProblem } from "../field-problem.ts";
import type { SidecarSpec } from "./schema.ts";

export function validateSidecar(spec: SidecarSpec): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const { workloadSelector, egress, ingress, outboundTrafficPolicy } = spec;
  if (egress === undefined && ingress === undefined && outboundTrafficPolicy === undefined) {
    problems.push({
      path: [],
      why: "says nothing",
      hint: "give egress hosts, ingress or outboundTrafficPolicy",
    });
  }
  if (outboundTrafficPolicy?.egressProxy && outboundTrafficPolicy.mode !== "ALLOW_ANY") {
    problems.push({
      path: ["outboundTrafficPolicy", "egressProxy"],
      why: "has no use with REGISTRY_ONLY, which lets nothing out",
      hint: "set mode: ALLOW_ANY, or remove it",
    });
  }
  if (ingress && !workloadSelector) {
    problems.push({
      path: ["ingress"],
      severity: "warning",
      why: "opens these ports at every workload of the namespace",
      hint: "give a workloadSelector",
    });
  }
  if (workloadSelector && Object.keys(workloadSelector.labels ?? {}).length === 0) {
    problems.push({
      path: ["workloadSelector"],
      severity: "warning",
      why: "has no labels, so it selects every workload of the namespace",
      hint: "give labels, or remove it to make this the namespace's default",
    });
  }
  problems.push(...samePlaces("egress", egress ?? []), ...samePlaces("ingress", ingress ?? []));
  const last = (egress ?? []).length - 1;
  (egress ?? []).forEach(({ hosts, port, bind, captureMode }, place) => {
    if (port === undefined && place < last) {
      const why = "an entry without a port must be the last, as in Istio";
      problems.push({
        path: ["egress", place],
        why,
        hint: "move it to the end, or write all hosts into one",
      });
    }
    for (const [field, value] of Object.entries({ bind, captureMode })) {
      if (port === undefined && value !== undefined)
        problems.push({ path: ["egress", place, field], why: "needs a port", hint: "give the entry a port" });
    }
    const seen = new Set<string>();
    hosts.forEach((host, index) => {
      const path = ["egress", place, "hosts", index];
      if (seen.has(host))
        problems.push({ path, why: `${JSON.stringify(host)} is given twice`, hint: "remove one" });
      seen.add(host);
      if (host.startsWith("~/") && hosts.length > 1)
        problems.push({
          path,
          why: '"~/*" (nothing) cannot stand beside others',
          hint: "keep it alone, or remove it",
        });
    });
  });
  return problems;
}

/** Two listeners cannot have one address. */
function samePlaces(
  field: "egress" | "ingress",
  listeners: readonly {
    readonly port?: { readonly number: number } | undefined;
    readonly bind?: string | undefined;
  }[],
): FieldProblem[] {
  const seen = new Set<string>();
  return listeners.flatMap(({ port, bind = "" }, index) => {
    if (port === undefined) return [];
    const place = `${bind}:${port.number}`;
    if (seen.has(place))
      return [
        {
          path: [field, index, "port"],
          why: `port ${port.number} is given twice`,
          hint: "write one entry for it, or give them other addresses to bind",
        },
      ];
    seen.add(place);
    return [];
  });
}
