import type { EncodedResource, ResourceSet } from "../../common/xds/encoded-resource.ts";
import type { TypeUrl } from "../../common/xds/type-url.ts";
import { splitVirtualHostResourceName, typeUrl } from "../../common/xds/type-url.ts";
import type { HostIndex } from "./host-index.ts";
import { hostIndex } from "./host-index.ts";

type Resources = ReadonlyMap<string, EncodedResource>;

/**
 * What one client is to have that asks for virtual hosts by name: those that its names mean and those for all hosts, the clusters
 * that these and its listeners send to, and their endpoints; everything else as it is. To such a client the whole set of
 * clusters and endpoints (`*`) means this part.
 */
export class OnDemandView {
  #full: ResourceSet | undefined;
  #index: HostIndex | undefined;
  #view: ResourceSet | undefined;
  /** Subscribed name → the resource that it means. */
  #meant = new Map<string, string | undefined>();

  /** `names` are those of the client's subscription now. Parts that did not change are the same maps as before. */
  of(full: ResourceSet, names: ReadonlySet<string>): ResourceSet {
    const hosts = part(full, typeUrl["virtual-host"]);
    const index = hostIndex(hosts, this.#full && part(this.#full, typeUrl["virtual-host"]));
    const known = index === this.#index ? this.#meant : new Map<string, string | undefined>();
    this.#index = index;
    this.#full = full;
    this.#meant = new Map();
    for (const name of names) this.#meant.set(name, known.has(name) ? known.get(name) : index.find(name));

    const meant = new Set(this.#meant.values());
    const wanted = index.forAll.filter((name) => isWholeSubscribed(name, names));
    for (const name of meant) if (name !== undefined) wanted.push(name);
    const view = new Map<TypeUrl, Resources>(full);
    const chosen = this.#pick(view, typeUrl["virtual-host"], hosts, wanted);
    const senders = [...chosen.values(), ...part(full, typeUrl.listener).values()];
    const clusters = new Set(senders.flatMap((sender) => sender.clusters ?? []));
    for (const type of [typeUrl.cluster, typeUrl.endpoints])
      this.#pick(view, type, part(full, type), clusters);
    this.#view = view;
    return view;
  }

  /** The resource that a subscribed name means, if there is one. */
  meaningOf(name: string): string | undefined {
    return this.#meant.get(name);
  }

  /** The names, other than its own, by which the client asked for a resource. */
  aliasesOf(resource: string): readonly string[] {
    return [...this.#meant].flatMap(([name, meant]) =>
      meant === resource && name !== resource ? [name] : [],
    );
  }

  #pick(view: Map<TypeUrl, Resources>, type: TypeUrl, all: Resources, names: Iterable<string>): Resources {
    const picked = new Map<string, EncodedResource>();
    for (const name of names) {
      const resource = all.get(name);
      if (resource !== undefined) picked.set(name, resource);
    }
    const before = this.#view && part(this.#view, type);
    const kept = before !== undefined && isSame(before, picked) ? before : picked;
    view.set(type, kept);
    return kept;
  }
}

function isWholeSubscribed(resource: string, names: ReadonlySet<string>): boolean {
  return names.has(splitVirtualHostResourceName(resource).routeConfiguration);
}

function isSame(some: Resources, others: Resources): boolean {
  if (some.size !== others.size) return false;
  for (const [name, resource] of some) if (others.get(name) !== resource) return false;
  return true;
}

function part(resources: ResourceSet, type: TypeUrl): Resources {
  return resources.get(type) ?? nothing;
}

const nothing: Resources = new Map();
