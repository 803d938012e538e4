import type { SecureContext } from "node:tls";
import { createSecureContext } from "node:tls";
import type { PeerIdentity } from "../../common/model/identity.ts";
import type { TlsMaterial } from "./tls-files.ts";

/** A ticket, and what was verified when it was got: a resumed handshake shows no certificate to its client. */
export interface KeptSession {
  readonly ticket: Buffer;
  readonly peer: PeerIdentity;
  /** Of the server's certificate, wall clock ms. */
  readonly expiresAt: number;
}

/** Tickets kept at most; each is some 1.5 kB, and one per endpoint is in use. */
const maxSessions = 4_096;

/**
 * What connections to the mesh share: the context of the current certificate, and the last session ticket of each server. Tickets are of
 * the certificate and the roots that they were made with: with other ones each server is verified anew.
 */
export class MeshSessions {
  #material: TlsMaterial | undefined = undefined;
  #context: SecureContext | undefined = undefined;
  #sessions = new Map<string, KeptSession>();

  /** Throws an Error when the material can't be used. */
  contextOf(material: TlsMaterial): SecureContext {
    if (this.#context !== undefined && this.#material === material) return this.#context;
    this.#context = createSecureContext({ ...material, minVersion: "TLSv1.3" });
    this.#material = material;
    this.#sessions = new Map();
    return this.#context;
  }

  /**
   * `key`: the server's address and who it must be. A ticket says that this was verified, so it serves no other key, and no longer than
   * the certificate held. `now`: wall clock ms.
   */
  find(key: string, now: number): KeptSession | undefined {
    const session = this.#sessions.get(key);
    return session === undefined || session.expiresAt <= now ? undefined : session;
  }

  /** Forgotten when `context` is not the current one any more. */
  keep(key: string, session: KeptSession, context: SecureContext): void {
    if (context !== this.#context) return;
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    if (this.#sessions.size <= maxSessions) return;
    for (const oldest of this.#sessions.keys()) {
      this.#sessions.delete(oldest);
      break;
    }
  }

  forget(key: string): void {
    this.#sessions.delete(key);
  }
}
