import type { SecureContext } from "node:tls";
import { createSecureContext } from "node:tls";
import type { TlsMaterial } from "./tls-files.ts";

/** Tickets kept at most; each is some 1.5 kB, and one per endpoint is in use. */
const maxSessions = 4_096;

/**
 * What connections to the mesh share: the context of the current certificate, and the last session ticket of each server. Tickets are of
 * the certificate and the roots that they were made with: with other ones each server is verified anew.
 */
export class MeshSessions {
  #material: TlsMaterial | undefined = undefined;
  #context: SecureContext | undefined = undefined;
  #tickets = new Map<string, Buffer>();

  /** Throws an Error when the material can't be used. */
  contextOf(material: TlsMaterial): SecureContext {
    if (this.#context !== undefined && this.#material === material) return this.#context;
    this.#context = createSecureContext({ ...material, minVersion: "TLSv1.3" });
    this.#material = material;
    this.#tickets = new Map();
    return this.#context;
  }

  /** `key`: the server's address and who it must be. A ticket says that this was verified, so it serves no other key. */
  ticketOf(key: string): Buffer | undefined {
    return this.#tickets.get(key);
  }

  /** Forgotten when `context` is not the current one any more. */
  keep(key: string, ticket: Buffer, context: SecureContext): void {
    if (context !== this.#context) return;
    this.#tickets.delete(key);
    this.#tickets.set(key, ticket);
    if (this.#tickets.size <= maxSessions) return;
    for (const oldest of this.#tickets.keys()) {
      this.#tickets.delete(oldest);
      break;
    }
  }

  forget(key: string): void {
    this.#tickets.delete(key);
  }
}
