import type { Socket } from "node:net";
import type { Server, TLSSocket, TlsOptions } from "node:tls";
import { createServer } from "node:tls";
import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { ServerTls } from "../../common/model/tls.ts";
import type { TlsMaterial } from "./tls-files.ts";
import { readTlsFiles, sameMaterial } from "./tls-files.ts";

export interface TlsServerParts {
  readonly clock: Clock;
  /** ms after which the files are looked at again. */
  readonly refreshMs: number;
  /** ms that a client has for its handshake. */
  readonly handshakeTimeoutMs: number;
  /** What is spoken inside, for ALPN; empty: whatever the client likes. */
  readonly protocols: readonly string[];
  /** Hears, once per reason, of files that can't be used; the ones before stay in use. */
  readonly onProblem: (why: string) => void;
  /** Takes what is inside, once the handshake is done. */
  readonly onSecured: (raw: Socket, socket: TLSSocket) => void;
}

/**
 * Ends TLS on sockets that were accepted elsewhere. Changed files serve the handshakes that follow; connections that are open stay.
 * The files are looked at rather than watched: a mounted Kubernetes Secret changes by swapping a link above them.
 */
export class TlsServer {
  readonly tls: ServerTls;
  readonly #server: Server;
  readonly #parts: TlsServerParts;
  /** Node does not tell which socket an inner one belongs to; their addresses do. */
  readonly #handshakes = new Map<string, Socket>();
  #material: TlsMaterial | undefined = undefined;
  #problem: string | undefined = undefined;
  #cancelRefresh: CancelTimer | undefined;
  /** Called once, when the certificates have been read for the first time. */
  onReady: () => void = () => {};

  constructor(tls: ServerTls, parts: TlsServerParts) {
    this.tls = tls;
    this.#parts = parts;
    this.#server = createServer({
      requestCert: tls.clientCaFile !== undefined,
      rejectUnauthorized: tls.clientCaFile !== undefined,
      ...(parts.protocols.length > 0 ? { ALPNProtocols: [...parts.protocols] } : {}),
      allowHalfOpen: true,
      handshakeTimeout: parts.handshakeTimeoutMs,
    });
    this.#server.on("secureConnection", (socket) => {
      const raw = this.#take(socket);
      if (raw === undefined) socket.destroy();
      else parts.onSecured(raw, socket);
    });
    // A handshake that fails is the client's doing, and it knows.
    this.#server.on("tlsClientError", (_error, socket) => {
      socket.destroy();
      this.#take(socket)?.destroy();
    });
    this.#cancelRefresh = parts.clock.every(parts.refreshMs, () => void this.refresh());
  }

  /** Does the handshake on a socket, whose bytes may have been read and put back; only once ready. */
  accept(socket: Socket): void {
    const key = addressOf(socket);
    this.#handshakes.set(key, socket);
    socket.once("close", () => {
      if (this.#handshakes.get(key) === socket) this.#handshakes.delete(key);
    });
    this.#server.emit("connection", socket);
  }

  #take(inner: TLSSocket): Socket | undefined {
    const key = addressOf(inner);
    const raw = this.#handshakes.get(key);
    this.#handshakes.delete(key);
    return raw;
  }

  /** Reads the files again and uses them when they differ. */
  async refresh(): Promise<void> {
    try {
      const material = await readTlsFiles(this.tls.certificate, this.tls.clientCaFile);
      const before = this.#material;
      if (this.#cancelRefresh === undefined || (before && sameMaterial(material, before))) return;
      this.#server.setSecureContext(contextOptions(this.tls, material));
      this.#material = material;
      this.#problem = undefined;
      if (before === undefined) this.onReady();
    } catch (cause) {
      const why = (cause as Error).message;
      if (why !== this.#problem) this.#parts.onProblem(why);
      this.#problem = why;
    }
  }

  stop(): void {
    this.#cancelRefresh?.();
    this.#cancelRefresh = undefined;
  }
}

function addressOf({ remoteAddress, remotePort, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localPort}`;
}

function contextOptions(tls: ServerTls, material: TlsMaterial): TlsOptions {
  const { minVersion = "TLSv1.2", maxVersion = "TLSv1.3", cipherSuites } = tls;
  return {
    ...material,
    minVersion,
    maxVersion,
    // TLS 1.3 has suites of its own, which Istio's field does not name.
    ...(cipherSuites.length > 0 ? { ciphers: [...tls13Suites, ...cipherSuites].join(":") } : {}),
    honorCipherOrder: true,
  };
}

const tls13Suites = ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"];
