import { splitVirtualHostResourceName } from "../../common/xds/type-url.ts";
import type { ResourceType, ResourceUpdate } from "./resource-update.ts";

/** What a type's subscription became after a resource changed. */
export interface SubscriptionChange {
  readonly type: ResourceType;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Resources that nothing asks for any more. The control plane does not announce their end. */
  readonly dropped: readonly string[];
}

/** The types that are asked for as a whole; the names of all others follow from their resources. */
export const wildcardTypes: readonly ResourceType[] = ["cluster", "listener"];

/** Which type's resources name which type's, in the order in which the names are found. */
const namedBy = [
  ["endpoints", "cluster"],
  ["route-configuration", "listener"],
  ["virtual-host", "route-configuration"],
] as const;

/**
 * What this proxy asks a control plane for, and which version it has of each resource. Everything follows from the resources accepted
 * so far: endpoints of clusters that want them, the route configurations that listeners name, virtual hosts of
 * those that leave them to VHDS.
 */
export class Subscriptions {
  readonly #versions = new Map<ResourceType, Map<string, string>>();
  /** Per type and resource the names that it asks for, of the type that it names. */
  readonly #asked = new Map<ResourceType, Map<string, readonly string[]>>();
  readonly #names = new Map<ResourceType, ReadonlySet<string>>();
  /** Virtual hosts that are asked for by name, although nothing that was received names them. */
  readonly #demanded = new Set<string>();
  /** The control plane chooses clusters, and endpoints with them, by the virtual hosts that are asked for. */
  #isOnDemand = false;

  /** The accepted versions by resource name. */
  versions(type: ResourceType): ReadonlyMap<string, string> {
    return this.#versionsOf(type);
  }

  /** The explicit names of a type; empty for wildcard types. */
  names(type: ResourceType): ReadonlySet<string> {
    if (type === "endpoints" && this.#isOnDemand) return wildcard;
    const names = this.#names.get(type) ?? nothing;
    return type === "virtual-host" && this.#demanded.size > 0
      ? new Set([...names, ...this.#demanded])
      : names;
  }

  isAskedFor(type: ResourceType, name: string): boolean {
    if (wildcardTypes.includes(type) || this.names(type) === wildcard) return true;
    // Virtual hosts that are asked for by name belong to a route configuration that is asked for too.
    return this.#names.get(type)?.has(askedAs(type, name)) ?? false;
  }

  get isOnDemand(): boolean {
    return this.#isOnDemand;
  }

  /** Says what to ask for differently from now on. */
  setOnDemand(isOnDemand: boolean): readonly SubscriptionChange[] {
    if (isOnDemand === this.#isOnDemand) return [];
    this.#isOnDemand = isOnDemand;
    this.#names.delete("endpoints");
    if (isOnDemand) return [];
    const [change] = this.#changesBelow("cluster");
    const rest = change ?? { type: "endpoints", subscribe: [], dropped: [] };
    return [{ ...rest, unsubscribe: [...wildcard] }];
  }

  /** Virtual hosts to ask for by name; false: no longer. */
  demand(names: readonly string[], isWanted: boolean): void {
    for (const name of names) {
      if (isWanted) this.#demanded.add(name);
      else this.#demanded.delete(name);
    }
  }

  /** Notes what the sink has accepted, and says what to ask for differently from now on. */
  accept(update: ResourceUpdate, refused: ReadonlySet<string>): readonly SubscriptionChange[] {
    const versions = this.#versionsOf(update.type);
    const asked = this.#askedBy(update.type);
    for (const name of update.removed) {
      versions.delete(name);
      asked.delete(name);
    }
    for (const [name, names] of askedNames(update)) if (!refused.has(name)) asked.set(name, names);
    for (const [name, { version }] of update.updated) if (!refused.has(name)) versions.set(name, version);
    return this.#changesBelow(update.type);
  }

  #changesBelow(changed: ResourceType): SubscriptionChange[] {
    const changes: SubscriptionChange[] = [];
    const moved = new Set([changed]);
    for (const [type, by] of namedBy) {
      if (!moved.has(by) || (type === "endpoints" && this.#isOnDemand)) continue;
      const before = this.#names.get(type) ?? nothing;
      const after = new Set([...this.#askedBy(by).values()].flat());
      this.#names.set(type, after);
      const subscribe = [...after].filter((name) => !before.has(name));
      const unsubscribe = [...before].filter((name) => !after.has(name));
      if (subscribe.length + unsubscribe.length === 0) continue;
      changes.push({ type, subscribe, unsubscribe, dropped: this.#drop(type, new Set(unsubscribe)) });
      moved.add(type);
    }
    return changes;
  }

  #drop(type: ResourceType, unsubscribed: ReadonlySet<string>): string[] {
    const versions = this.#versionsOf(type);
    const asked = this.#askedBy(type);
    const dropped: string[] = [];
    for (const name of versions.keys()) {
      if (unsubscribed.has(askedAs(type, name))) dropped.push(name);
    }
    for (const name of dropped) {
      versions.delete(name);
      asked.delete(name);
    }
    return dropped;
  }

  #versionsOf(type: ResourceType): Map<string, string> {
    return getOrMake(this.#versions, type);
  }

  #askedBy(type: ResourceType): Map<string, readonly string[]> {
    return getOrMake(this.#asked, type);
  }
}

const nothing: ReadonlySet<string> = new Set();
const wildcard: ReadonlySet<string> = new Set(["*"]);

/** The name by which a resource is subscribed: virtual hosts come with their route configuration. */
function askedAs(type: ResourceType, name: string): string {
  return type === "virtual-host" ? splitVirtualHostResourceName(name).routeConfiguration : name;
}

function getOrMake<V>(maps: Map<ResourceType, Map<string, V>>, type: ResourceType): Map<string, V> {
  const known = maps.get(type);
  if (known) return known;
  const made = new Map<string, V>();
  maps.set(type, made);
  return made;
}

/** For each updated resource the names that it makes us ask for. */
function askedNames(update: ResourceUpdate): [string, readonly string[]][] {
  switch (update.type) {
    case "cluster":
      return Array.from(update.updated, ([name, { value }]) => [
        name,
        value.discovery.kind === "eds" ? [name] : [],
      ]);
    case "listener":
      return Array.from(update.updated, ([name, { value }]) => [
        name,
        value.filterChains.flatMap(({ http }) =>
          http?.routes.kind === "rds" ? [http.routes.routeConfigName] : [],
        ),
      ]);
    case "route-configuration":
      return Array.from(update.updated, ([name, { value }]) => [name, value.vhds ? [name] : []]);
    case "endpoints":
    case "virtual-host":
      return [];
  }
}
