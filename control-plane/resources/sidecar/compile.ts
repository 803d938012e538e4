import { resolveHost } from "../fields/host.ts";
import { compileLabels } from "../fields/labels.ts";
import { protocolOf } from "../fields/protocol.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledSidecar, EgressHost, EgressListener, IngressListener } from "./compiled.ts";
import type { SidecarSpec } from "./schema.ts";

export function compileSidecar(spec: SidecarSpec, context: SpecContext): CompiledSidecar {
  const { workloadSelector, egress = [], ingress = [], outboundTrafficPolicy: policy } = spec;
  const open = egress.filter(({ port }) => port === undefined);
  const hosts = open.flatMap((listener) => listener.hosts.map(compileEgressHost));
  const listeners = egress.flatMap((listener, index) => compileEgress(listener, index, context));
  const proxy = policy?.egressProxy;
  return {
    kind: "Sidecar",
    ...(workloadSelector ? { workloadSelector: compileLabels(workloadSelector.labels) } : {}),
    ...(egress.length > 0 ? { egress: hosts } : {}),
    ...(listeners.length > 0 ? { listeners } : {}),
    ...(ingress.length > 0
      ? { ingress: ingress.map((listener, index) => compileIngress(listener, index, context)) }
      : {}),
    // An empty policy is protobuf's first value, REGISTRY_ONLY, as for Istio.
    ...(policy ? { outboundPolicy: policy.mode === "ALLOW_ANY" ? "allow-any" : "registry-only" } : {}),
    ...(proxy
      ? {
          egressProxy: {
            host: resolveHost(proxy.host, context.namespace),
            ...(proxy.subset === undefined ? {} : { subset: proxy.subset }),
            port: proxy.port.number,
          },
        }
      : {}),
    source: context.sourceOf([]),
  };
}

function compileEgressHost(text: string): EgressHost {
  const slash = text.indexOf("/");
  return { namespace: text.slice(0, slash), host: text.slice(slash + 1).toLowerCase() };
}

type Egress = NonNullable<SidecarSpec["egress"]>[number];
type Ingress = NonNullable<SidecarSpec["ingress"]>[number];

function compileEgress(listener: Egress, index: number, context: SpecContext): EgressListener[] {
  const { port, hosts } = listener;
  if (port === undefined) return [];
  return [
    {
      ...compilePlace({ ...listener, port }, ["egress", index], context),
      hosts: hosts.map(compileEgressHost),
    },
  ];
}

function compileIngress(listener: Ingress, index: number, context: SpecContext): IngressListener {
  const { defaultEndpoint = `127.0.0.1:${listener.port.number}` } = listener;
  const colon = defaultEndpoint.lastIndexOf(":");
  return {
    ...compilePlace(listener, ["ingress", index], context),
    endpoint: {
      host: defaultEndpoint.slice(0, colon).replace(/^\[|\]$/g, ""),
      port: Number(defaultEndpoint.slice(colon + 1)),
    },
  };
}

function compilePlace(
  { port, bind, captureMode }: Pick<Ingress, "port" | "bind" | "captureMode">,
  path: readonly (string | number)[],
  context: SpecContext,
): Omit<IngressListener, "endpoint"> {
  return {
    port: port.number,
    protocol: protocolOf(port.protocol) ?? "tcp",
    ...(bind === undefined ? {} : { bind }),
    capture: captureMode === "IPTABLES" ? "iptables" : captureMode === "NONE" ? "none" : "default",
    source: context.sourceOf(path),
  };
}
