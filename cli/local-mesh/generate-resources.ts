import { formatYaml } from "../../control-plane/resources/yaml.ts";
import type { LocalMesh } from "./mesh-file.ts";
import type { PortPlan } from "./port-plan.ts";

const apiVersion = "networking.istio.io/v1";
const header = "# Written by `weft up` from the mesh file at every start; changes here are lost.\n";

/**
 * The resources that a cluster's registry would give: a ServiceEntry for each service and a WorkloadEntry for each sidecar's
 * inbound port. File name → YAML text.
 */
export function generateResources(mesh: LocalMesh, plan: PortPlan): ReadonlyMap<string, string> {
  const services = mesh.workloads.flatMap((workload) =>
    workload.service === undefined ? [] : [{ ...workload.service, namespace: workload.namespace }],
  );
  const unique = new Map(services.map((service) => [`${service.name}.${service.namespace}`, service]));
  const serviceEntries = [...unique.values()].map(({ name, namespace, port, protocol }) => ({
    apiVersion,
    kind: "ServiceEntry",
    metadata: { name, namespace },
    spec: {
      hosts: [`${name}.${namespace}.svc.cluster.local`],
      location: "MESH_INTERNAL",
      resolution: "STATIC",
      ports: [{ number: port, name: protocol, protocol: protocol.toUpperCase() }],
      workloadSelector: { labels: { [serviceLabel]: name } },
    },
  }));
  const workloadEntries = plan.instances.flatMap(({ name, workload, inbound }) =>
    workload.service === undefined
      ? []
      : [
          {
            apiVersion,
            kind: "WorkloadEntry",
            metadata: { name, namespace: workload.namespace },
            spec: {
              address: "127.0.0.1",
              ports: { [workload.service.protocol]: inbound },
              labels: {
                ...workload.labels,
                [serviceLabel]: workload.service.name,
                // Its sidecar has an identity, so callers use mutual TLS.
                "security.istio.io/tlsMode": "istio",
              },
              serviceAccount: workload.serviceAccount,
            },
          },
        ],
  );
  return new Map([
    ["services.yaml", documents(serviceEntries)],
    ["workloads.yaml", documents(workloadEntries)],
  ]);
}

/** Ties a workload to its service whatever labels its author chose. */
const serviceLabel = "weft.dev/service";

function documents(objects: readonly object[]): string {
  return header + objects.map(formatYaml).join("---\n");
}
