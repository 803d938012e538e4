import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { ReadIdentity } from "../../common/identity/certificate.ts";
import { readIdentity } from "../../common/identity/certificate.ts";
import type { PeerIdentity } from "../../common/model/identity.ts";
import type { ClientTls, ServerTls } from "../../common/model/tls.ts";
import type { Credentials, IdentitySource } from "./identity-source.ts";
import type { TlsMaterial } from "./tls-files.ts";

/** What is said by ALPN besides the protocol inside: that this is the mesh's TLS and not an app's own (as Istio's proxies say it). */
export const meshProtocol = "istio";

/**
 * HTTP/1.1 in frames of HTTP/2, which only two of our own sidecars speak: all requests to an endpoint share a connection. Others do not know
 * the name, and agree on what is offered beside it.
 */
export const sharedProtocol = "weft/1";

/** What handshakes within the mesh use now. Throws an Error while this workload has no certificate. */
export function meshMaterial(identity: IdentitySource | undefined, now: number): TlsMaterial {
  const current = identity?.current;
  if (current === undefined) throw new Error("this workload has no certificate of the mesh yet");
  if (current.expiresAt <= now) throw new Error("this workload's certificate has expired");
  return materialOf(current);
}

/**
 * Who the client of a finished handshake is, or why it is not let in. The handshake has verified the chain; a resumed one has not looked at
 * the time again.
 */
export function clientOf(socket: TLSSocket, { identity }: ServerTls, now: number): ReadIdentity {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { ok: false, why: "the client showed no certificate" };
  if (!socket.authorized)
    return { ok: false, why: `the client's certificate is not trusted: ${socket.authorizationError}` };
  const read = readIdentity(certificate, now);
  if (!read.ok) return { ok: false, why: `the client's certificate ${read.why}` };
  const { trustDomains = [] } = identity ?? {};
  if (trustDomains.includes(read.peer.trustDomain)) return read;
  const why = `the client's trust domain ${read.peer.trustDomain} is none of ${trustDomains.join(", ")}`;
  return { ok: false, why };
}

/** `expiresAt`: of its certificate, wall clock ms. */
export type VerifiedServer =
  | { readonly ok: true; readonly peer: PeerIdentity; readonly expiresAt: number }
  | { readonly ok: false; readonly why: string };

/** Who the server of a finished, full handshake is, or why it is not spoken to. */
export function serverOf(socket: TLSSocket, { subjectAltNames }: ClientTls, now: number): VerifiedServer {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { ok: false, why: "the server showed no certificate" };
  const read = readIdentity(certificate, now);
  if (!read.ok) return { ok: false, why: `the server's certificate ${read.why}` };
  if (subjectAltNames.length === 0 || subjectAltNames.includes(read.peer.spiffeId))
    return { ...read, expiresAt: certificate.validToDate.getTime() };
  return { ok: false, why: `the server is ${read.peer.spiffeId} and none of ${subjectAltNames.join(", ")}` };
}

const peers = new WeakMap<Socket, PeerIdentity>();

/** Who is at the other end of a connection that the mesh's TLS protects; undefined for others. */
export function peerOf(socket: Socket): PeerIdentity | undefined {
  return peers.get(socket);
}

const interned = new Map<string, PeerIdentity>();

/** Remembers who is at the other end. One identity is one object, so that metrics find their series by it. */
export function notePeer(socket: Socket, peer: PeerIdentity): PeerIdentity {
  const known = interned.get(peer.spiffeId) ?? peer;
  // A mesh has no more identities than workloads; beyond that, older ones are made anew.
  if (interned.size > 10_000) interned.clear();
  interned.set(peer.spiffeId, known);
  peers.set(socket, known);
  return known;
}

/** Handshakes that ended well, and how many of them were resumed (RFC 8446 2.2); for metrics. */
export class HandshakeCounts {
  full = 0;
  resumed = 0;
  failed = 0;

  note(isResumed: boolean): void {
    if (isResumed) this.resumed += 1;
    else this.full += 1;
  }
}

const materials = new WeakMap<Credentials, TlsMaterial>();

function materialOf(credentials: Credentials): TlsMaterial {
  const known = materials.get(credentials);
  if (known !== undefined) return known;
  const material = { cert: credentials.chain, key: credentials.privateKey, ca: credentials.roots };
  materials.set(credentials, material);
  return material;
}
