import type { Socket } from "node:net";
import type { Clock } from "../../common/base/clock.ts";
import type { TcpProxy } from "../../common/model/listener.ts";
import { defaultTcpIdleTimeoutMs } from "../../common/model/listener.ts";
import { toMeshError } from "../errors.ts";
import { relay } from "../net/relay.ts";
import type { TcpConnection, TcpObserver } from "../net/tcp-connection.ts";

/** The upstream's end, as `proxy/cluster/open-tcp.ts` gives it. */
export interface OpenedUpstream {
  readonly socket: Socket;
  readonly maxDurationMs: number | undefined;
  release(): void;
}

export interface PassedConnectionParts {
  readonly clock: Clock;
  /** Notes on the connection where it goes; rejects with MeshError. */
  readonly openTcp: (proxy: TcpProxy, connection: TcpConnection) => Promise<OpenedUpstream>;
  readonly tcp: TcpObserver;
}

/**
 * A connection on its way through: the upstream is opened at once, the client's socket joins when it is clear that it belongs here. So
 * a server that speaks first is heard while nobody knows yet what the client speaks.
 */
export class PassedConnection {
  readonly #proxy: TcpProxy;
  readonly #connection: TcpConnection;
  readonly #parts: PassedConnectionParts;
  readonly #opening: Promise<OpenedUpstream | undefined>;
  #isAbandoned = false;

  constructor(proxy: TcpProxy, connection: TcpConnection, parts: PassedConnectionParts) {
    this.#proxy = proxy;
    this.#connection = connection;
    this.#parts = parts;
    this.#opening = parts.openTcp(proxy, connection).catch((thrown: unknown) => {
      const { code, detail, entry } = toMeshError(thrown);
      connection.errorCode = code;
      connection.detail = detail;
      // Envoy says both: the connection failed, and all attempts are used up.
      connection.flags = entry.flag === "UF" ? "UF,URX" : entry.flag;
      return undefined;
    });
  }

  /** Resolves when the upstream has said something (true), or can't be reached or is gone (false). */
  async upstreamSpeaks(): Promise<boolean> {
    const opened = await this.#opening;
    if (opened === undefined || this.#isAbandoned) return false;
    const { socket } = opened;
    return new Promise((resolve) => {
      const settle = (spoke: boolean): void => {
        socket.off("data", onData);
        socket.off("end", onEnd);
        socket.off("close", onEnd);
        resolve(spoke);
      };
      const onData = (chunk: Buffer): void => {
        socket.pause();
        socket.unshift(chunk);
        settle(true);
      };
      const onEnd = (): void => settle(false);
      socket.on("data", onData);
      socket.on("end", onEnd);
      socket.on("close", onEnd);
      this.#stopListening = () => settle(false);
    });
  }

  /** The client belongs to somebody else: the upstream is let go, and nobody hears of it. */
  abandon(): void {
    this.#isAbandoned = true;
    void this.#opening.then((opened) => {
      opened?.release();
      opened?.socket.destroy();
    });
  }

  /** Passes the bytes on until both sides have ended. Settles when the splice stands, or the client was told that it can't. */
  async join(client: Socket): Promise<void> {
    const { tcp, clock } = this.#parts;
    const connection = this.#connection;
    client.pause();
    const opened = await this.#opening;
    this.#stopListening();
    const end = (): void => {
      connection.finishedAt = clock.monotonic();
      tcp.closed(connection);
    };
    if (opened === undefined) {
      client.destroy();
      end();
      return;
    }
    tcp.opened(connection);
    const { idleTimeoutMs = defaultTcpIdleTimeoutMs, maxConnectionDurationMs } = this.#proxy;
    const limits = [opened.maxDurationMs, maxConnectionDurationMs].filter((limit) => limit !== undefined);
    const maxDurationMs = limits.length === 0 ? undefined : Math.min(...limits);
    relay(connection, client, opened.socket, { idleTimeoutMs, maxDurationMs }, clock, () => {
      opened.release();
      end();
    });
  }

  #stopListening = (): void => {};
}
