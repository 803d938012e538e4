import type { CompiledGateway } from "../resources/gateway/compiled.ts";
import type { Resource } from "../resources/resource.ts";
import type { MeshGateway } from "./mesh.ts";
import { keyOf } from "./problems.ts";
import { reuse } from "./reuse.ts";

/** `gateways` are oldest first, and so is the result. */
export function buildGateways(
  gateways: readonly Resource<CompiledGateway>[],
  previous?: readonly MeshGateway[],
): readonly MeshGateway[] {
  const before = new Map(previous?.map((gateway) => [gatewayName(gateway), gateway]));
  return gateways.map((resource) =>
    reuse(before.get(gatewayName({ key: resource })), [resource.compiled, resource.createdAt], () => ({
      key: keyOf(resource),
      createdAt: resource.createdAt,
      selector: resource.compiled.selector,
      servers: resource.compiled.servers,
      source: resource.source,
    })),
  );
}

/** `namespace/name`, as VirtualServices name it. */
export function gatewayName({ key }: Pick<MeshGateway, "key">): string {
  return `${key.namespace}/${key.name}`;
}
