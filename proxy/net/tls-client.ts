import type { Socket } from "node:net";
import { isIP } from "node:net";
import type { PeerCertificate, SecureContext, TLSSocket } from "node:tls";
import { checkServerIdentity, createSecureContext, connect as startTls } from "node:tls";
import type { Clock } from "../../common/base/clock.ts";
import type { ClientTls } from "../../common/model/tls.ts";
import { meshError } from "../errors.ts";
import type { ConnectTarget } from "./connect.ts";
import { connect } from "./connect.ts";
import type { IdentitySource } from "./identity-source.ts";
import { MeshSessions } from "./mesh-sessions.ts";
import type { VerifiedServer } from "./mesh-tls.ts";
import { HandshakeCounts, meshMaterial, meshProtocol, notePeer, serverOf } from "./mesh-tls.ts";
import { readTlsFiles } from "./tls-files.ts";

/** ms for which files that were read are used again. */
const filesHoldMs = 5_000;

/**
 * Opens TLS connections to upstreams. The server must show a certificate that the authorities of `ClientTls` (or of the machine)
 * signed, for one of `subjectAltNames`, else for the SNI, else for the name or address that was dialled.
 */
export class TlsClient {
  /** Of handshakes within the mesh. */
  readonly counts = new HandshakeCounts();
  readonly #clock: Clock;
  readonly #identity: IdentitySource | undefined;
  readonly #sessions = new MeshSessions();
  readonly #contexts = new WeakMap<
    ClientTls,
    { readonly at: number; readonly context: Promise<SecureContext> }
  >();

  /** `identity`: of this workload, for `ClientTls.identity`; without it such connections fail. */
  constructor(clock: Clock, identity?: IdentitySource) {
    this.#clock = clock;
    this.#identity = identity;
  }

  /**
   * `name`: what the caller knows the server by when `tls` names no SNI. Rejects with MeshError `connect_failed` (detail `tls_…`) when
   * the handshake or the files fail, else as `connect` does; the time-out covers both. `protocols`: what is offered by ALPN; bytes that
   * are passed on speak for themselves.
   */
  async connect(
    target: ConnectTarget,
    tls: ClientTls,
    name: string,
    protocols: readonly string[] = ["http/1.1"],
  ): Promise<TLSSocket> {
    const begin = this.#clock.monotonic();
    const context = await this.#contextOf(tls).catch((cause: unknown) => {
      throw meshError("connect_failed", "tls_files", cause);
    });
    const socket = await connect(target, this.#clock);
    const leftMs = Math.max(1, target.timeoutMs - (this.#clock.monotonic() - begin));
    if (tls.identity) return this.#meshHandshake(socket, target, tls, context, name, leftMs, protocols);
    return this.#handshake(socket, tls, context, tls.sni ?? name, leftMs, protocols);
  }

  /** With a ticket of an earlier connection where there is one, which only who was verified then can use. */
  async #meshHandshake(
    raw: Socket,
    { host, port }: ConnectTarget,
    tls: ClientTls,
    context: SecureContext,
    name: string,
    timeoutMs: number,
    protocols: readonly string[],
  ): Promise<TLSSocket> {
    const key = `${host} ${port} ${tls.sni ?? ""} ${tls.subjectAltNames.join(" ")}`;
    const kept = this.#sessions.find(key, this.#clock.now());
    const offered = [meshProtocol, ...protocols];
    const socket = await this.#handshake(
      raw,
      tls,
      context,
      tls.sni ?? name,
      timeoutMs,
      offered,
      kept?.ticket,
    ).catch((cause: unknown) => {
      this.#sessions.forget(key);
      this.counts.failed += 1;
      throw cause;
    });
    const isResumed = socket.isSessionReused() && kept !== undefined;
    const server: VerifiedServer = isResumed
      ? { ok: true, peer: kept.peer, expiresAt: kept.expiresAt }
      : serverOf(socket, tls, this.#clock.now());
    if (!server.ok) {
      socket.on("error", () => {});
      socket.destroy();
      this.#sessions.forget(key);
      this.counts.failed += 1;
      throw meshError("connect_failed", "tls_certificate_refused", new Error(server.why));
    }
    this.counts.note(isResumed);
    const { peer, expiresAt } = server;
    socket.on("session", (ticket) => this.#sessions.keep(key, { ticket, peer, expiresAt }, context));
    notePeer(socket, peer);
    return socket;
  }

  #handshake(
    raw: Socket,
    tls: ClientTls,
    secureContext: SecureContext,
    name: string,
    timeoutMs: number,
    protocols: readonly string[],
    session?: Buffer,
  ): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const socket = startTls({
        socket: raw,
        secureContext,
        ...(session && { session }),
        // RFC 6066 3: an address is no server name.
        ...(isIP(name) === 0 ? { servername: name } : {}),
        ...(protocols.length > 0 ? { ALPNProtocols: [...protocols] } : {}),
        rejectUnauthorized: !tls.insecureSkipVerify,
        checkServerIdentity: (_host, certificate) => verifyName(tls, name, certificate),
      });
      const settle = (): void => {
        cancelTimer();
        socket.off("secureConnect", onSecure);
        socket.off("error", onError);
        socket.off("close", onError);
      };
      const fail = (detail: string, cause?: unknown): void => {
        settle();
        socket.on("error", () => {});
        socket.destroy();
        raw.destroy();
        reject(meshError(detail === "tls_timeout" ? "connect_timeout" : "connect_failed", detail, cause));
      };
      const onSecure = (): void => {
        settle();
        resolve(socket);
      };
      const onError = (cause: unknown): void =>
        fail(isVerification(cause) ? "tls_certificate_refused" : "tls_handshake_failed", cause);
      const cancelTimer = this.#clock.after(timeoutMs, () => fail("tls_timeout"));
      socket.on("secureConnect", onSecure);
      socket.on("error", onError);
      socket.on("close", onError);
    });
  }

  /** Made anew when the files may have changed; connections that are open stay. */
  #contextOf(tls: ClientTls): Promise<SecureContext> {
    if (tls.identity) return this.#meshContext();
    const known = this.#contexts.get(tls);
    const now = this.#clock.monotonic();
    const usesFiles = tls.caFile !== undefined || tls.certificate !== undefined;
    if (known !== undefined && (!usesFiles || now - known.at < filesHoldMs)) return known.context;
    const context = readTlsFiles(tls.certificate, tls.caFile).then((material) =>
      createSecureContext({ ...material, minVersion: "TLSv1.2" }),
    );
    this.#contexts.set(tls, { at: now, context });
    context.catch(() => this.#contexts.delete(tls));
    return context;
  }

  async #meshContext(): Promise<SecureContext> {
    return this.#sessions.contextOf(meshMaterial(this.#identity, this.#clock.now()));
  }
}

/** The error that node:tls wants, or undefined when the certificate is for whom we asked. */
function verifyName(tls: ClientTls, name: string, certificate: PeerCertificate): Error | undefined {
  // Within the mesh that is looked at after the handshake, since resumed ones are not asked here.
  if (tls.insecureSkipVerify || tls.identity) return undefined;
  if (tls.subjectAltNames.length === 0) return checkServerIdentity(name, certificate);
  const uris = (certificate.subjectaltname ?? "").split(", ").filter((entry) => entry.startsWith("URI:"));
  const fits = tls.subjectAltNames.some((wanted) =>
    wanted.includes("://")
      ? uris.includes(`URI:${wanted}`)
      : checkServerIdentity(wanted, certificate) === undefined,
  );
  if (fits) return undefined;
  const error = new Error(`the certificate is for none of ${tls.subjectAltNames.join(", ")}`);
  return Object.assign(error, { code: "ERR_TLS_CERT_ALTNAME_INVALID" });
}

function isVerification(cause: unknown): boolean {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? "";
  return (
    code.includes("CERT") || code.includes("VERIFY") || code.includes("ISSUER") || code.includes("SIGNATURE")
  );
}
