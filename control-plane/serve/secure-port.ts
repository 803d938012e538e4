import type { Server as TcpServer } from "node:net";
import type { TLSSocket } from "node:tls";
import { createServer } from "node:tls";
import type { Server } from "@grpc/grpc-js";
import { ServerCredentials } from "@grpc/grpc-js";
import type { SocketAddress } from "../../common/model/node.ts";

/** PEM; what a TLS port shows and what it trusts. */
export interface PortCertificate {
  readonly chain: string;
  readonly privateKey: string;
  readonly roots: string;
}

/** A TLS port of a gRPC server whose certificate can change while calls are under way. */
export interface SecurePort {
  readonly address: SocketAddress;
  /** For the handshakes from now on. */
  renew(certificate: PortCertificate): void;
  close(): void;
}

/** ms. Whoever connects and says nothing holds a socket. */
const handshakeTimeoutMs = 10_000;

/**
 * Opens a TLS port for a gRPC server. Clients may show a certificate: a valid one says who calls (`getAuthContext`), any other
 * is as none, because a workload whose certificate has expired must be able to ask for a new one. Rejects when the port is taken.
 */
export async function openSecurePort(
  grpc: Server,
  address: SocketAddress,
  certificate: PortCertificate,
): Promise<SecurePort> {
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const sockets = new Set<TLSSocket>();
  const server = createServer({
    ...contextOf(certificate),
    minVersion: "TLSv1.2",
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ["h2"],
    handshakeTimeout: handshakeTimeoutMs,
  });
  server.on("secureConnection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    if (socket.alpnProtocol === "h2") injector.injectConnection(socket);
    else socket.destroy();
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  const bound = await listen(server, address);
  return {
    address: bound,
    renew: (next) => server.setSecureContext({ ...contextOf(next), minVersion: "TLSv1.2" }),
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      injector.destroy();
    },
  };
}

function contextOf({ chain, privateKey, roots }: PortCertificate) {
  return { cert: chain, key: privateKey, ca: roots };
}

function listen(server: TcpServer, { host, port }: SocketAddress): Promise<SocketAddress> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: 4_096 }, () => {
      server.off("error", reject);
      // EMFILE and the like: that connection is lost, the port stays.
      server.on("error", () => {});
      const bound = server.address();
      resolve({ host, port: typeof bound === "object" && bound !== null ? bound.port : port });
    });
  });
}
