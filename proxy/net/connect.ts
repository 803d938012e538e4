import type { Socket } from "node:net";
import { createConnection } from "node:net";
import type { Clock } from "../../common/base/clock.ts";
import type { TcpKeepalive } from "../../common/model/connection-pool.ts";
import type { MeshError } from "../errors.ts";
import { meshError } from "../errors.ts";

export interface ConnectTarget {
  readonly host: string;
  readonly port: number;
  /** ms until the attempt is given up. Envoy connect_timeout; Istio's default is 10 s. */
  readonly timeoutMs: number;
  /** The local address to come from; absent: the system chooses. */
  readonly from?: string | undefined;
  /** Envoy's and Istio's tcp_keepalive; what it leaves out is the kernel's. */
  readonly keepalive?: TcpKeepalive | undefined;
}

/** ms of silence after which the kernel asks whether the peer still lives. Envoy and Istio leave the kernel's two hours. */
const keepAliveProbeMs = 300_000;

/**
 * Opens a TCP connection to an endpoint, without delay of small writes and with half-close. Rejects with MeshError
 * `connect_refused`, `connect_timeout` or `connect_failed`, whose cause is the system's error. The socket keeps an "error"
 * listener, so that one that fails before its user listens does not end the process.
 */
export function connect(target: ConnectTarget, clock: Clock): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({
      host: target.host,
      port: target.port,
      ...(target.from === undefined ? {} : { localAddress: target.from }),
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveProbeMs,
      allowHalfOpen: true,
    });
    const cancelTimer = clock.after(target.timeoutMs, () => {
      settle();
      socket.destroy();
      reject(meshError("connect_timeout", "connect_timeout"));
    });
    const settle = (): void => {
      cancelTimer();
      socket.off("connect", onConnect);
    };
    const onConnect = (): void => {
      settle();
      if (target.keepalive !== undefined) setKeepalive(socket, target.keepalive);
      resolve(socket);
    };
    const onError = (error: NodeJS.ErrnoException): void => {
      settle();
      reject(connectError(error));
    };
    socket.on("connect", onConnect);
    socket.on("error", onError);
  });
}

/** Node before 25 knows neither interval nor count and ignores them. */
function setKeepalive(socket: Socket, { probes, timeSeconds, intervalSeconds }: TcpKeepalive): void {
  const delayMs = timeSeconds === undefined ? keepAliveProbeMs : timeSeconds * 1000;
  const intervalMs = intervalSeconds === undefined ? undefined : intervalSeconds * 1000;
  socket.setKeepAlive(true, delayMs, intervalMs, probes);
}

function connectError(error: NodeJS.ErrnoException): MeshError {
  if (error.code === "ECONNREFUSED") return meshError("connect_refused", "connection_refused", error);
  if (error.code === "ETIMEDOUT") return meshError("connect_timeout", "connect_timeout", error);
  return meshError("connect_failed", "connect_failed", error);
}
