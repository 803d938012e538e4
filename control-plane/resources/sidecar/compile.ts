import { compileLabels } from "../fields/labels.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledSidecar, EgressHost } from "./compiled.ts";
import type { SidecarSpec } from "./schema.ts";

export function compileSidecar(spec: SidecarSpec, context: SpecContext): CompiledSidecar {
  const { workloadSelector, egress, outboundTrafficPolicy: policy } = spec;
  const hosts = (egress ?? []).flatMap((listener) => listener.hosts.map(compileEgressHost));
  return {
    kind: "Sidecar",
    ...(workloadSelector ? { workloadSelector: compileLabels(workloadSelector.labels) } : {}),
    ...(hosts.length > 0 ? { egress: hosts } : {}),
    // An empty policy is protobuf's first value, REGISTRY_ONLY, as for Istio.
    ...(policy ? { outboundPolicy: policy.mode === "ALLOW_ANY" ? "allow-any" : "registry-only" } : {}),
    source: context.sourceOf([]),
  };
}

function compileEgressHost(text: string): EgressHost {
  const slash = text.indexOf("/");
  return { namespace: text.slice(0, slash), host: text.slice(slash + 1).toLowerCase() };
}
