import type { ProxyNode } from "../../common/model/node.ts";
import type { ResourceSet } from "../../common/xds/encoded-resource.ts";
import type { Log } from "../log.ts";
import type { Resource, ResourceKey } from "../resources/resource.ts";
import { formatKey } from "../resources/resource.ts";
import { buildSnapshot } from "../snapshot/build.ts";
import { keyOf } from "../snapshot/problems.ts";
import type { MeshSettings, Snapshot } from "../snapshot/snapshot.ts";
import type { Store } from "../store/store.ts";
import { encodeResources } from "../translate/encode.ts";
import { translate } from "../translate/translate.ts";
import type { RememberedResource } from "./last-good.ts";
import { mayBeHidden, rememberedByKey } from "./last-good.ts";

/** What a step from one picture to the next changed. */
export interface MeshStep {
  readonly snapshot: Snapshot;
  readonly previous: Snapshot | undefined;
  /** Live resources that are new, changed (also in their place in a file) or gone. */
  readonly changed: readonly ResourceKey[];
}

export interface LiveMeshParts {
  readonly store: Store;
  readonly log: Log;
  /** Absent: Istio's defaults. */
  readonly settings?: MeshSettings | undefined;
  /** What was live when the control plane last ran. */
  readonly remembered: readonly RememberedResource[];
}

/** The picture of the mesh that proxies are served from, and how it follows the store. */
export class LiveMesh {
  readonly #parts: LiveMeshParts;
  readonly #remembered: Map<string, RememberedResource>;
  /** When each remembered resource was first seen: age decides between resources that compete, so it outlives a restart. */
  readonly #ages: Map<string, number>;
  readonly #aged = new WeakMap<Resource, Resource>();
  readonly #served = new WeakMap<ProxyNode, ResourceSet>();
  /** Where each live resource came from; also of one whose removal waits. */
  readonly #origins: Map<string, string>;
  #snapshot: Snapshot | undefined;
  /** The picture of the last run; only the first one of this run is compared with it. */
  #before: Snapshot | undefined;

  constructor(parts: LiveMeshParts) {
    this.#parts = parts;
    this.#remembered = rememberedByKey(parts.remembered);
    this.#ages = new Map([...this.#remembered].map(([key, { resource }]) => [key, resource.createdAt]));
    this.#origins = new Map([...this.#remembered].map(([key, { origin }]) => [key, origin]));
    const all = parts.remembered.map(({ resource }) => resource);
    this.#before = all.length === 0 ? undefined : buildSnapshot(all, undefined, parts.settings);
  }

  /** Undefined until the sources were read for the first time. */
  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** Resources that live on from before a restart, because their file can't be read now. */
  get inherited(): readonly ResourceKey[] {
    return [...this.#remembered.values()].map(({ resource }) => keyOf(resource));
  }

  /** Takes the store's resources as they are. Undefined when nothing that anyone could notice changed. */
  rebuild(): MeshStep | undefined {
    const previous = this.#snapshot;
    const snapshot = buildSnapshot(this.#desired(), previous ?? this.#before, this.#parts.settings);
    this.#snapshot = snapshot;
    this.#before = undefined;
    this.#noteOrigins(snapshot);
    const changed = changedKeys(previous, snapshot);
    const isNoticeable = previous === undefined || changed.length > 0 || !sameHeld(previous, snapshot);
    return isNoticeable ? { snapshot, previous, changed } : undefined;
  }

  isLive(key: ResourceKey): boolean {
    return this.#origins.has(formatKey(key));
  }

  /** What the next control plane needs to know when this one has ended. */
  toRemember(): readonly RememberedResource[] {
    return (this.#snapshot?.resources ?? []).map((resource) => ({
      resource,
      origin: this.#origins.get(formatKey(resource)) ?? "",
    }));
  }

  /** What would be live if these resources were put and these keys removed now. */
  preview(puts: readonly Resource[], removals: readonly ResourceKey[] = []): Snapshot {
    const desired = new Map(this.#desired().map((resource) => [formatKey(resource), resource]));
    for (const key of removals) desired.delete(formatKey(key));
    for (const put of puts) {
      const existing = desired.get(formatKey(put));
      desired.set(formatKey(put), existing ? { ...put, createdAt: existing.createdAt } : put);
    }
    return buildSnapshot(desired.values(), this.#snapshot ?? this.#before, this.#parts.settings);
  }

  /** A proxy's part of the picture, encoded. Should the picture not translate for it, it keeps what it was served before. */
  resourcesFor(node: ProxyNode): ResourceSet {
    try {
      // Proxies are let in after the sources were read; before that there would be nothing true to tell them.
      const resources = encodeResources(translate(this.#snapshot!, node));
      this.#served.set(node, resources);
      return resources;
    } catch (err) {
      this.#parts.log.error(
        `cannot translate the mesh for ${node.name}.${node.namespace}; it keeps what it has`,
        { err },
      );
      return this.#served.get(node) ?? new Map();
    }
  }

  #desired(): readonly Resource[] {
    const { store } = this.#parts;
    const desired = store.list().map((resource) => this.#withAge(resource));
    const present = new Set(desired.map(formatKey));
    const reports = store.reports();
    for (const [key, remembered] of this.#remembered) {
      const problems = reports.get(remembered.origin)?.problems ?? [];
      if (present.has(key) || !mayBeHidden(remembered, problems)) this.#remembered.delete(key);
      else desired.push(remembered.resource);
    }
    for (const key of this.#ages.keys()) {
      if (!present.has(key) && !this.#remembered.has(key)) this.#ages.delete(key);
    }
    return desired;
  }

  #noteOrigins({ resources }: Snapshot): void {
    const live = new Map(resources.map((resource) => [formatKey(resource), resource]));
    for (const key of this.#origins.keys()) if (!live.has(key)) this.#origins.delete(key);
    for (const [key, resource] of live) {
      const origin = this.#parts.store.sourceOf(resource);
      if (origin !== undefined) this.#origins.set(key, origin);
    }
  }

  #withAge(resource: Resource): Resource {
    const createdAt = this.#ages.get(formatKey(resource));
    if (createdAt === undefined || createdAt === resource.createdAt) return resource;
    const known = this.#aged.get(resource) ?? { ...resource, createdAt };
    this.#aged.set(resource, known);
    return known;
  }
}

function changedKeys(previous: Snapshot | undefined, next: Snapshot): ResourceKey[] {
  const before = new Map(previous?.resources.map((resource) => [formatKey(resource), resource]));
  const changed: ResourceKey[] = [];
  for (const resource of next.resources) {
    const key = formatKey(resource);
    if (before.get(key) !== resource) changed.push(keyOf(resource));
    before.delete(key);
  }
  return [...changed, ...[...before.values()].map(keyOf)];
}

function sameHeld(a: Snapshot, b: Snapshot): boolean {
  if (a.held.length !== b.held.length) return false;
  return a.held.every(({ key, desired }, index) => {
    const other = b.held[index]!;
    return formatKey(key) === formatKey(other.key) && desired?.version === other.desired?.version;
  });
}
