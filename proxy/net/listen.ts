import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import type { SocketAddress } from "../../common/model/node.ts";

export interface Listener {
  /** Where it listens; the port is the real one when 0 was asked for. */
  readonly address: SocketAddress;
  /** Accepts no more. Connections that are open stay open. Resolves once the port is free. */
  close(): Promise<void>;
}

/** Connections that the kernel queues until they are accepted. */
const backlog = 4_096;

/**
 * Opens a listener on `host:port` and hands each connection to `accept`, half-close allowed and small writes undelayed.
 * Rejects with an Error that names the address, the reason and what to do about it.
 */
export function listen(address: SocketAddress, accept: (socket: Socket) => void): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(address, error)));
    server.listen({ host: address.host, port: address.port, backlog }, () => {
      server.removeAllListeners("error");
      // EMFILE and the like: that connection is lost, the listener goes on.
      server.on("error", () => {});
      resolve({ address: boundAddress(server, address), close: () => closeServer(server) });
    });
  });
}

function boundAddress(server: Server, asked: SocketAddress): SocketAddress {
  const bound = server.address();
  return typeof bound === "object" && bound !== null ? { host: bound.address, port: bound.port } : asked;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

function listenError({ host, port }: SocketAddress, error: NodeJS.ErrnoException): Error {
  const where = `cannot listen on ${host.includes(":") ? `[${host}]` : host}:${port}`;
  const reasons: Record<string, string> = {
    EADDRINUSE: "the port is taken by another process; stop it or choose another port",
    EACCES: "permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE",
    EADDRNOTAVAIL: "this machine has no such address",
    ENOTFOUND: "the host name does not resolve",
  };
  const reason = reasons[error.code ?? ""] ?? error.message;
  return new Error(`${where}: ${reason}`, { cause: error });
}
