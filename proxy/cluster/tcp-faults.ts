import type { Clock } from "../../common/base/clock.ts";
import type { Random } from "../../common/base/random.ts";
import { isChosen } from "../../common/routing/fraction.ts";
import { setPace } from "../net/pace.ts";
import { tear } from "../net/reset.ts";
import type { TcpConnection } from "../net/tcp-connection.ts";
import type { ClusterManager } from "./cluster-manager.ts";
import type { TcpUpstream } from "./open-tcp.ts";

export interface TcpFaultParts {
  readonly clusters: ClusterManager;
  readonly clock: Clock;
  readonly random: Random;
  /** Hears of each fault. */
  readonly injected: (kind: "tcp-delay" | "tcp-reset" | "tcp-limit") => void;
}

/**
 * Does to a connection that was opened what its cluster's faults say (own kind Fault, its `tcp`): holds its bytes back for a while, slows
 * them, resets it. Answers with the same connection.
 */
export async function injectTcpFaults(
  upstream: TcpUpstream,
  { cluster }: TcpConnection,
  { clusters, clock, random, injected }: TcpFaultParts,
): Promise<TcpUpstream> {
  const fault = clusters.get(cluster)?.config?.tcpFault;
  if (fault === undefined) return upstream;
  const { delay, reset, limit } = fault;
  const { socket } = upstream;
  if (limit !== undefined && isChosen(limit.fraction, random)) {
    injected("tcp-limit");
    setPace(socket, { bytesPerSecond: limit.kibPerSecond * 1024, clock });
  }
  if (reset !== undefined && isChosen(reset.fraction, random)) {
    injected("tcp-reset");
    const cancel = clock.after(reset.afterMs, () => tear(socket));
    socket.once("close", cancel);
  }
  if (delay !== undefined && isChosen(delay.fraction, random)) {
    injected("tcp-delay");
    await new Promise<void>((resolve) => {
      clock.after(delay.ms, resolve);
    });
  }
  return upstream;
}
