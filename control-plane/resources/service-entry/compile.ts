import type {
  Service,
  ServiceEndpoint,
  ServicePort,
  ServiceProtocol,
} from "../../../common/model/service.ts";
import { compileExportTo } from "../fields/export-to.ts";
import { resolveHost } from "../fields/host.ts";
import { compileLabels } from "../fields/labels.ts";
import { protocolOf, protocolOfPortName } from "../fields/protocol.ts";
import { compileWorkloadEndpoint } from "../fields/workload-endpoint.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledServiceEntry } from "./compiled.ts";
import type { ServiceEntrySpec } from "./schema.ts";

/** DYNAMIC_DNS: proxies resolve what a request names anyway, so it is NONE with a promise. */
const resolutions: Readonly<Record<string, Service["resolution"]>> = {
  STATIC: "static",
  DNS: "dns",
  DNS_ROUND_ROBIN: "dns-round-robin",
  DYNAMIC_DNS: "none",
};

export function compileServiceEntry(spec: ServiceEntrySpec, context: SpecContext): CompiledServiceEntry {
  const endpoints = (spec.endpoints ?? []).map((endpoint): ServiceEndpoint => {
    const labels = compileLabels(endpoint.labels);
    return compileWorkloadEndpoint(endpoint, context.namespace, workloadName(labels, context.name), labels);
  });
  const shared = {
    namespace: context.namespace,
    ports: (spec.ports ?? []).map(compilePort),
    location: spec.location === "MESH_INTERNAL" ? ("mesh-internal" as const) : ("mesh-external" as const),
    resolution: resolutions[spec.resolution ?? "NONE"] ?? "none",
    addresses: spec.addresses ?? [],
    endpoints,
    ...(spec.workloadSelector ? { workloadSelector: compileLabels(spec.workloadSelector.labels) } : {}),
    ...(spec.subjectAltNames?.length && { subjectAltNames: spec.subjectAltNames }),
    exportTo: compileExportTo(spec.exportTo),
  };
  return {
    kind: "ServiceEntry",
    services: spec.hosts.map((host, index) => ({
      hostname: resolveHost(host, context.namespace),
      ...shared,
      source: context.sourceOf(["hosts", index]),
    })),
  };
}

/** What the port says, else what its name begins with, else TCP. */
export function servicePortProtocol(port: NonNullable<ServiceEntrySpec["ports"]>[number]): ServiceProtocol {
  return (port.protocol ? protocolOf(port.protocol) : protocolOfPortName(port.name)) ?? "tcp";
}

function compilePort(port: NonNullable<ServiceEntrySpec["ports"]>[number]): ServicePort {
  return {
    number: port.number,
    name: port.name,
    protocol: servicePortProtocol(port),
    ...(port.targetPort === undefined ? {} : { targetPort: port.targetPort }),
  };
}

/** Endpoints written in a ServiceEntry have no name of their own: Istio's canonical name labels give one. */
function workloadName(labels: Readonly<Record<string, string>>, fallback: string): string {
  return (
    labels["service.istio.io/canonical-name"] ?? labels["app.kubernetes.io/name"] ?? labels["app"] ?? fallback
  );
}
