import type { Problem } from "../common/base/problem.ts";
import type { ClusterManager } from "./cluster/cluster-manager.ts";
import type { ListenerSet } from "./listeners/listener-set.ts";
import type { RouteTables } from "./outbound/routes.ts";
import { clustersNamedBy } from "./state/proxy-config.ts";
import type { ResourceState } from "./state/resource-state.ts";
import type { Rejection, ResourceSink, ResourceUpdate, UpdateOf } from "./xds/resource-update.ts";

export interface ConfigSinkParts {
  readonly state: ResourceState;
  readonly clusters: ClusterManager;
  readonly tables: RouteTables;
  readonly listeners: ListenerSet;
  /** After each message, with what was refused of it. */
  readonly onApplied: (update: ResourceUpdate, rejections: readonly Rejection[]) => void;
}

/** Puts what arrives to use: judge, commit, then let the running parts follow. Nothing is undone when one resource is refused. */
export class ConfigSink implements ResourceSink {
  readonly #parts: ConfigSinkParts;

  constructor(parts: ConfigSinkParts) {
    this.#parts = parts;
  }

  apply(update: ResourceUpdate): readonly Rejection[] | Promise<readonly Rejection[]> {
    const rejections = this.#parts.state.check(update);
    if (update.type === "listener") return this.#applyListeners(update, rejections);
    this.#parts.state.commit(update, rejections);
    if (update.type === "cluster") this.#applyClusters(update);
    else if (update.type === "endpoints") this.#applyEndpoints(update);
    else this.#parts.tables.update(this.#parts.state.current.routes);
    this.#parts.onApplied(update, rejections);
    return rejections;
  }

  /** Drops what is left of removed clusters once no route names them. To be called now and then. */
  tidy(): void {
    const { routes, received } = this.#parts.state.current;
    const named = new Set<string>();
    for (const configuration of routes.values())
      for (const name of clustersNamedBy(configuration)) named.add(name);
    for (const { value } of received.listener.values()) {
      for (const { http } of value.filterChains) {
        if (http?.routes.kind !== "inline") continue;
        for (const name of clustersNamedBy(http.routes.configuration)) named.add(name);
      }
    }
    this.#parts.clusters.forgetUnless((name) => named.has(name));
  }

  #applyClusters(update: ClusterUpdate): void {
    const { clusters, state } = this.#parts;
    for (const [name, { value }] of update.updated) {
      clusters.configure(value);
      const endpoints = state.current.received.endpoints.get(name);
      if (endpoints !== undefined) clusters.setEndpoints(endpoints.value);
    }
    for (const name of update.removed) clusters.remove(name);
  }

  #applyEndpoints(update: EndpointsUpdate): void {
    for (const { value } of update.updated.values()) this.#parts.clusters.setEndpoints(value);
    for (const cluster of update.removed) this.#parts.clusters.setEndpoints({ cluster, endpoints: [] });
  }

  async #applyListeners(
    update: ListenerUpdate,
    refused: readonly Rejection[],
  ): Promise<readonly Rejection[]> {
    const { state, listeners, onApplied } = this.#parts;
    const isRefused = new Set(refused.map(({ name }) => name));
    const changed = [...update.updated]
      .filter(([name]) => !isRefused.has(name))
      .map(([, { value }]) => value);
    const unopened = await listeners.apply(changed, update.removed);
    const rejections = [...refused, ...byResource(update, unopened)];
    state.commit(update, rejections);
    onApplied(update, rejections);
    return rejections;
  }
}

type ClusterUpdate = Extract<ResourceUpdate, UpdateOf<"cluster", unknown>>;
type EndpointsUpdate = Extract<ResourceUpdate, UpdateOf<"endpoints", unknown>>;
type ListenerUpdate = Extract<ResourceUpdate, UpdateOf<"listener", unknown>>;

function byResource(
  update: ListenerUpdate,
  unopened: ReadonlyMap<string, readonly Problem[]>,
): readonly Rejection[] {
  return [...update.updated].flatMap(([name, { value }]) => {
    const problems = unopened.get(value.name);
    return problems === undefined ? [] : [{ name, problems }];
  });
}
