import { constants } from "node:crypto";
import type { Socket } from "node:net";
import type { Server, TLSSocket, TlsOptions } from "node:tls";
import { createServer } from "node:tls";
import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { ServerTls } from "../../common/model/tls.ts";
import { refusalOfClient } from "./check-client.ts";
import type { IdentitySource } from "./identity-source.ts";
import type { HandshakeCounts } from "./mesh-tls.ts";
import { clientOf, meshMaterial, meshProtocol, notePeer, sharedProtocol } from "./mesh-tls.ts";
import type { TlsMaterial } from "./tls-files.ts";
import { readServerFiles, sameMaterial } from "./tls-files.ts";

export interface TlsServerParts {
  readonly clock: Clock;
  /** ms after which the files are looked at again. */
  readonly refreshMs: number;
  /** Where credentials are; absent: there are none. */
  readonly secretsDirectory?: string | undefined;
  /** ms that a client has for its handshake. */
  readonly handshakeTimeoutMs: number;
  /** What is spoken inside, for ALPN; empty: whatever the client likes. */
  readonly protocols: readonly string[];
  /** Hears, once per reason, of files that can't be used; the ones before stay in use. */
  readonly onProblem: (why: string) => void;
  /** Of this workload, for `ServerTls.identity`; without it such a server never gets ready. */
  readonly identity?: IdentitySource | undefined;
  /** Of handshakes within the mesh. */
  readonly counts?: HandshakeCounts | undefined;
  /** Hears why a client of the mesh was not let in. */
  readonly onRefused?: (why: string, raw: Socket | undefined) => void;
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
    const asksClient = tls.clientCaFile !== undefined || tls.clientCaSecret !== undefined;
    const protocols = tls.identity === undefined ? parts.protocols : meshProtocols(parts.protocols);
    this.#server = createServer({
      requestCert: asksClient || tls.identity !== undefined,
      // Within the mesh the reason is told, so that is looked at below.
      rejectUnauthorized: asksClient && !tls.client?.isOptional,
      ...(protocols.length > 0 ? { ALPNProtocols: [...protocols] } : {}),
      allowHalfOpen: true,
      handshakeTimeout: parts.handshakeTimeoutMs,
    });
    this.#server.on("secureConnection", (socket) => {
      const raw = this.#take(socket);
      if (raw === undefined) socket.destroy();
      else if (tls.identity === undefined) this.#admitClient(socket, raw);
      else if (this.#admits(socket, raw)) parts.onSecured(raw, socket);
    });
    // A handshake that fails is the client's doing, and it knows.
    this.#server.on("tlsClientError", (error, socket) => {
      socket.destroy();
      const raw = this.#take(socket);
      if (tls.identity !== undefined) this.#refuse(reasonOf(error), raw);
      raw?.destroy();
    });
    const cancelTimer = parts.clock.every(parts.refreshMs, () => void this.refresh());
    const unsubscribe = tls.identity && parts.identity?.subscribe(() => void this.refresh());
    this.#cancelRefresh = () => {
      cancelTimer();
      unsubscribe?.();
    };
  }

  #admitClient(socket: TLSSocket, raw: Socket): void {
    const why = refusalOfClient(socket, this.tls);
    if (why === undefined) {
      this.#parts.onSecured(raw, socket);
      return;
    }
    socket.on("error", () => {});
    socket.destroy();
    raw.destroy();
  }

  #admits(socket: TLSSocket, raw: Socket): boolean {
    const client = clientOf(socket, this.tls, this.#parts.clock.now());
    if (client.ok) {
      this.#parts.counts?.note(socket.isSessionReused());
      notePeer(socket, client.peer);
      return true;
    }
    socket.on("error", () => {});
    socket.destroy();
    raw.destroy();
    this.#refuse(client.why, raw);
    return false;
  }

  #refuse(why: string, raw: Socket | undefined): void {
    const { counts, onRefused } = this.#parts;
    if (counts !== undefined) counts.failed += 1;
    onRefused?.(why, raw);
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
      const { identity, clock } = this.#parts;
      // The first certificate is on its way, and tells of itself.
      if (this.tls.identity && identity !== undefined && identity.current === undefined) return;
      const material = this.tls.identity
        ? meshMaterial(identity, clock.now())
        : await readServerFiles(this.tls, this.#parts.secretsDirectory);
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

/** First comes what is preferred. Bytes that are passed on are not ours to put into frames. */
function meshProtocols(protocols: readonly string[]): readonly string[] {
  return protocols.length === 0 ? [meshProtocol] : [sharedProtocol, ...protocols, meshProtocol];
}

/** OpenSSL's words for what was wrong with the client's certificate, or with its handshake. */
function reasonOf(error: Error): string {
  const { code, reason } = error as NodeJS.ErrnoException & { readonly reason?: string };
  return `the handshake failed: ${reason ?? code ?? error.message}`;
}

function addressOf({ remoteAddress, remotePort, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localPort}`;
}

function contextOptions(tls: ServerTls, material: TlsMaterial): TlsOptions {
  const { minVersion = tls.identity ? "TLSv1.3" : "TLSv1.2", maxVersion = "TLSv1.3", cipherSuites } = tls;
  return {
    ...material,
    minVersion,
    maxVersion,
    // TLS 1.3 has suites of its own, which Istio's field does not name.
    ...(cipherSuites.length > 0 ? { ciphers: [...tls13Suites, ...cipherSuites].join(":") } : {}),
    honorCipherOrder: true,
    // TLS 1.2 lets a client ask for a new handshake at any time, which costs us far more than it (CVE-2011-1473).
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}

const tls13Suites = ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"];
