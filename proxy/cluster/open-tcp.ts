import type { Socket } from "node:net";
import type { Random } from "../../common/base/random.ts";
import type { TcpProxy } from "../../common/model/listener.ts";
import { pickWeighted } from "../../common/routing/pick-weighted.ts";
import { meshError } from "../errors.ts";
import type { ClusterManager } from "./cluster-manager.ts";

export interface TcpParts {
  readonly clusters: ClusterManager;
  readonly random: Random;
  readonly connect: (host: string, port: number, timeoutMs: number) => Promise<Socket>;
}

/** Attempts at one connection before its client is told; each picks anew (Envoy's max_connect_attempts is 1). */
const maxAttempts = 3;

/**
 * Opens a connection to an endpoint of the cluster that the weights choose. Rejects with MeshError `no_cluster`,
 * `no_healthy_upstream` or `connect_*`.
 */
export async function openTcp(proxy: TcpProxy, { clusters, random, connect }: TcpParts): Promise<Socket> {
  const { cluster: name } = pickWeighted(proxy.destinations, random);
  const cluster = clusters.get(name);
  if (cluster?.config === undefined) throw meshError("no_cluster", "cluster_not_found");
  if (!cluster.isWarm) await new Promise<void>((resolve) => cluster.whenWarm(resolve));
  for (let attempt = 1; ; attempt++) {
    const endpoint = cluster.pick()?.endpoint;
    if (endpoint === undefined) throw meshError("no_healthy_upstream", "no_healthy_endpoint");
    try {
      return await connect(endpoint.address, endpoint.port, cluster.config.connectTimeoutMs);
    } catch (cause) {
      if (attempt === maxAttempts) throw cause;
    }
  }
}
