import type { EncodedResource, ResourceSet } from "../../common/xds/encoded-resource.ts";
import { contentVersion } from "../../common/xds/encoded-resource.ts";
import { inlineVirtualHosts } from "../../common/xds/route.ts";
import { splitVirtualHostResourceName, typeUrl } from "../../common/xds/type-url.ts";

const views = new WeakMap<ReadonlyMap<string, EncodedResource>, ReadonlyMap<string, EncodedResource>>();

/**
 * The same resources for a client that does not speak VHDS: each route configuration carries its virtual hosts. Bytes
 * are put together when they are first sent, and once for all clients that share the virtual hosts.
 */
export function withInlineRoutes(resources: ResourceSet): ResourceSet {
  const virtualHosts = resources.get(typeUrl["virtual-host"]);
  const configurations = resources.get(typeUrl["route-configuration"]);
  if (!configurations) return resources;
  let view = virtualHosts && views.get(virtualHosts);
  if (!view || !isViewOf(view, configurations)) {
    const byConfiguration = Map.groupBy(
      virtualHosts?.values() ?? [],
      ({ name }) => splitVirtualHostResourceName(name).routeConfiguration,
    );
    view = new Map(
      Array.from(configurations.values(), (configuration) => [
        configuration.name,
        new InlineRouteConfiguration(configuration, byConfiguration.get(configuration.name) ?? []),
      ]),
    );
    if (virtualHosts) views.set(virtualHosts, view);
  }
  const inlined = new Map(resources);
  inlined.delete(typeUrl["virtual-host"]);
  inlined.set(typeUrl["route-configuration"], view);
  return inlined;
}

function isViewOf(
  view: ReadonlyMap<string, EncodedResource>,
  configurations: ReadonlyMap<string, EncodedResource>,
): boolean {
  if (view.size !== configurations.size) return false;
  return [...view.values()].every(
    (inline) =>
      inline instanceof InlineRouteConfiguration && configurations.get(inline.name) === inline.configuration,
  );
}

class InlineRouteConfiguration implements EncodedResource {
  readonly name: string;
  readonly version: string;
  readonly configuration: EncodedResource;
  readonly #virtualHosts: readonly EncodedResource[];
  #bytes: Uint8Array | undefined;

  constructor(configuration: EncodedResource, virtualHosts: readonly EncodedResource[]) {
    this.name = configuration.name;
    this.configuration = configuration;
    this.#virtualHosts = virtualHosts;
    this.version = contentVersion(
      [configuration, ...virtualHosts].map(({ name, version }) => `${name}@${version}`).join("\n"),
    );
  }

  get bytes(): Uint8Array {
    this.#bytes ??= inlineVirtualHosts(
      this.configuration.bytes,
      this.#virtualHosts.map(({ bytes }) => bytes),
    );
    return this.#bytes;
  }
}
