import type { Cluster } from "../../common/model/cluster.ts";
import type { EndpointSet } from "../../common/model/endpoint.ts";
import { translateGrpcWeb } from "../http/grpc-web.ts";
import type { Service } from "../http/layer.ts";
import type { ClusterParts } from "./cluster-parts.ts";
import { sendTo } from "./send.ts";
import { UpstreamCluster } from "./upstream-cluster.ts";

/** All upstreams of a proxy by name. */
export class ClusterManager {
  readonly #parts: ClusterParts;
  readonly #clusters = new Map<string, UpstreamCluster>();
  readonly #services = new WeakMap<UpstreamCluster, Service>();

  constructor(parts: ClusterParts) {
    this.#parts = parts;
  }

  /**
   * The service that sends to a cluster, to be taken when routes are compiled: the name is resolved now, config and endpoints at each
   * request. A name that nobody has defined yet is a cluster too; its requests fail with `no_cluster` until it is.
   */
  upstream(name: string): Service {
    const cluster = this.#obtain(name);
    let service = this.#services.get(cluster);
    if (service === undefined) {
      const [send, translate] = [sendTo(cluster), translateGrpcWeb(sendTo(cluster))];
      service = (exchange) =>
        cluster.config?.translatesGrpcWeb === true ? translate(exchange) : send(exchange);
      this.#services.set(cluster, service);
    }
    return service;
  }

  get(name: string): UpstreamCluster | undefined {
    return this.#clusters.get(name);
  }

  /** Every cluster that has config. */
  *[Symbol.iterator](): IterableIterator<UpstreamCluster> {
    for (const cluster of this.#clusters.values()) if (cluster.config !== undefined) yield cluster;
  }

  /** Defines or redefines a cluster. */
  configure(config: Cluster): void {
    this.#obtain(config.name).configure(config);
  }

  /** EDS: the endpoints of a cluster, replacing those before. Ignored for clusters that find their endpoints in another way. */
  setEndpoints(set: EndpointSet): void {
    const cluster = this.#obtain(set.cluster);
    if (cluster.config?.discovery.kind === "eds") cluster.setEndpoints(set.endpoints);
  }

  /** The cluster is gone: what is under way finishes. */
  remove(name: string): void {
    this.#clusters.get(name)?.remove();
  }

  /** Forgets removed clusters that no route names any more. Routes compiled later get a new object for the name. */
  forgetUnless(isNamed: (name: string) => boolean): void {
    for (const [name, cluster] of this.#clusters) {
      if (cluster.config === undefined && !isNamed(name)) this.#clusters.delete(name);
    }
  }

  /** Ends every connection now. */
  stop(): void {
    for (const cluster of this.#clusters.values()) cluster.stop();
  }

  #obtain(name: string): UpstreamCluster {
    let cluster = this.#clusters.get(name);
    if (cluster === undefined) {
      cluster = new UpstreamCluster(name, this.#parts);
      this.#clusters.set(name, cluster);
    }
    return cluster;
  }
}
