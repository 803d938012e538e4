import { X509Certificate } from "node:crypto";
import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { Random } from "../../common/base/random.ts";
import { readIdentity, splitChain } from "../../common/identity/certificate.ts";
import type { Credentials, IdentitySource } from "../net/identity-source.ts";
import type { RequestCertificate } from "./certificate-call.ts";
import type { SavedIdentity } from "./saved-identity.ts";
import { makeKey, signingRequest } from "./signing-request.ts";

export interface IdentityKeeperParts {
  /** Who this workload is; a certificate for anybody else is refused. Its trust domain may be any: the control plane's counts. */
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly spiffeId: string;
  readonly request: RequestCertificate;
  /** Absent: nothing outlives the process. */
  readonly saved?: SavedIdentity;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: IdentityEvents;
}

export interface IdentityEvents {
  readonly renewed?: (credentials: Credentials) => void;
  /** The next attempt is in `retryMs`; what is there stays in use. */
  readonly failed?: (why: string, retryMs: number) => void;
}

/** Retries, ms. */
const firstRetryMs = 500;
const maxRetryMs = 30_000;

/**
 * Keeps this workload's certificate fresh: makes a key, has it certified, and does so again when half of the certificate's life is over,
 * up to a tenth of it earlier by chance, so that a mesh that was started at once does not ask at once for ever. The private key is made
 * here and is never sent. Long-lived.
 */
export class IdentityKeeper implements IdentitySource {
  readonly #parts: IdentityKeeperParts;
  readonly #subscribers = new Set<() => void>();
  #current: Credentials | undefined;
  #cancelTimer: CancelTimer | undefined;
  #isStopped = true;
  #attempts = 0;
  #work: Promise<void> = Promise.resolve();
  /** For metrics. */
  renewals = 0;
  failures = 0;

  constructor(parts: IdentityKeeperParts) {
    this.#parts = parts;
  }

  get current(): Credentials | undefined {
    return this.#current;
  }

  subscribe(changed: () => void): () => void {
    this.#subscribers.add(changed);
    return () => this.#subscribers.delete(changed);
  }

  /** Takes up what was saved and is still valid, then asks for the next one in time. Resolves when what was saved is read. */
  async start(): Promise<void> {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    const saved = await this.#parts.saved?.load();
    const leftMs = saved === undefined ? 0 : saved.expiresAt - this.#parts.clock.now();
    if (saved !== undefined && leftMs > 0) this.#use(saved);
    // What was saved may be of a control plane that is gone, so a new one is asked for at once.
    this.renewNow();
  }

  /** Asks for a new certificate without waiting for its time. */
  renewNow(): void {
    if (this.#isStopped) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#work = this.#work.then(() => this.#renew());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTimer?.();
    await this.#work;
  }

  async #renew(): Promise<void> {
    if (this.#isStopped) return;
    this.#cancelTimer?.();
    const { clock, random, events, saved } = this.#parts;
    let credentials: Credentials;
    try {
      credentials = await this.#ask();
    } catch (cause) {
      this.failures += 1;
      const limit = Math.min(maxRetryMs, firstRetryMs * 2 ** this.#attempts);
      const retryMs = limit / 2 + (limit / 2) * random();
      this.#attempts = Math.min(this.#attempts + 1, 16);
      if (this.#isStopped) return;
      this.#wait(retryMs);
      events.failed?.((cause as Error).message, retryMs);
      return;
    }
    if (this.#isStopped) return;
    this.#attempts = 0;
    this.renewals += 1;
    const lifetimeMs = credentials.expiresAt - clock.now();
    this.#wait(Math.max(minimumMs, lifetimeMs * (0.5 - 0.1 * random())));
    this.#use(credentials);
    events.renewed?.(credentials);
    await saved
      ?.save(credentials)
      .catch((cause: Error) => events.failed?.(`it was not saved: ${cause.message}`, 0));
  }

  #wait(ms: number): void {
    this.#cancelTimer = this.#parts.clock.after(ms, () => this.renewNow());
  }

  async #ask(): Promise<Credentials> {
    const { request, namespace, serviceAccount, spiffeId, clock } = this.#parts;
    const key = await makeKey();
    const { chain, roots } = splitChain(await request(signingRequest(key, spiffeId)));
    const leaf = new X509Certificate(chain[0]!);
    if (!leaf.checkPrivateKey(key)) throw new Error("the certificate that came is for another key");
    const read = readIdentity(leaf, clock.now());
    if (!read.ok) throw new Error(`the certificate that came ${read.why}`);
    const { peer } = read;
    if (peer.namespace !== namespace || peer.serviceAccount !== serviceAccount)
      throw new Error(`the certificate that came is for ${peer.principal}`);
    if (roots.length === 0) throw new Error("no root came with the certificate");
    return {
      chain: chain.join(""),
      privateKey: key.export({ type: "pkcs8", format: "pem" }).toString(),
      roots: roots.join(""),
      expiresAt: leaf.validToDate.getTime(),
    };
  }

  #use(credentials: Credentials): void {
    this.#current = credentials;
    for (const changed of this.#subscribers) changed();
  }
}

/** Certificates that live for seconds, in tests, are not asked for without end. */
const minimumMs = 200;
