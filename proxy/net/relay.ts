import type { Socket } from "node:net";
import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { Splice } from "./splice.ts";
import { splice } from "./splice.ts";
import type { TcpConnection } from "./tcp-connection.ts";

export interface RelayTimes {
  /** ms without a byte either way; 0: never (Envoy's tcp_proxy idle_timeout). */
  readonly idleTimeoutMs: number;
  /** ms; absent: as long as it likes (Envoy's max_downstream_connection_duration). */
  readonly maxDurationMs?: number | undefined;
}

/**
 * Splices the two ends of a connection, counts its bytes and ends it when its time is over. `onClose` is called once, when both
 * sockets are closed. `downstream`: the inner socket when TLS was ended here.
 */
export function relay(
  connection: TcpConnection,
  downstream: Socket,
  upstream: Socket,
  { idleTimeoutMs, maxDurationMs }: RelayTimes,
  clock: Clock,
  onClose: () => void,
): Splice {
  let lastByteAt = clock.monotonic();
  let cancelIdle: CancelTimer | undefined;
  const spliced = splice(downstream, upstream, {
    fromFirst: (bytes) => {
      connection.bytesReceived += bytes;
      lastByteAt = clock.monotonic();
    },
    fromSecond: (bytes) => {
      connection.bytesSent += bytes;
      lastByteAt = clock.monotonic();
    },
    closed: () => {
      cancelIdle?.();
      cancelEnd?.();
      onClose();
    },
  });
  const watchIdle = (ms: number): void => {
    cancelIdle = clock.after(ms, () => {
      const leftMs = idleTimeoutMs - (clock.monotonic() - lastByteAt);
      if (leftMs > 0) return watchIdle(leftMs);
      connection.detail = "tcp_session_idle_timeout";
      spliced.destroy();
    });
  };
  if (idleTimeoutMs > 0) watchIdle(idleTimeoutMs);
  const cancelEnd =
    maxDurationMs === undefined
      ? undefined
      : clock.after(maxDurationMs, () => {
          connection.flags = "DT";
          connection.detail = "max_connection_duration_reached";
          spliced.destroy();
        });
  return spliced;
}
