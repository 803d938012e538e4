import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { WorkloadIdentity } from "../../common/identity/spiffe.ts";
import type { AuthorityFolder } from "./authority-folder.ts";
import type { LeafNames, Validity } from "./certificates.ts";
import { makeIntermediate, makeLeaf, makeLeafKey, makeRoot } from "./certificates.ts";
import type { Generation } from "./generation.ts";
import { endOf, expiryOf, startOf } from "./generation.ts";
import { readSigningRequest } from "./signing-request.ts";

/** How long what is signed holds, ms. */
export interface Lifetimes {
  readonly root: number;
  readonly intermediate: number;
  /** Of a workload's SVID at most, and unless it asks for less. Also the time between two steps of a root's rotation. */
  readonly leaf: number;
}

const dayMs = 86_400_000;

export const defaultLifetimes: Lifetimes = Object.freeze({
  root: 3_650 * dayMs,
  intermediate: 365 * dayMs,
  leaf: dayMs,
});

export interface AuthorityParts {
  readonly trustDomain: string;
  readonly lifetimes: Lifetimes;
  readonly clock: Clock;
  /** Where roots that we make are kept. */
  readonly folder: AuthorityFolder;
  /** An authority that was plugged in; then no root is made or rotated. */
  readonly pluggedIn?: Generation;
  readonly events: AuthorityEvents;
}

export interface AuthorityEvents {
  /** The roots to trust have changed, or which of them signs. */
  readonly changed: () => void;
  /** For the log: what was done, or what is wrong. */
  readonly said: (level: "info" | "warn" | "error", text: string) => void;
}

/** What a workload gets for its request. All PEM. */
export interface IssuedChain {
  /** Leaf first, then the authorities between it and the root. */
  readonly chain: readonly string[];
  /** Every root to trust; the one that signs comes last, where Istio's agents look for it. */
  readonly roots: readonly string[];
  /** Wall clock ms. */
  readonly expiresAt: number;
}

export type Issue =
  | { readonly ok: true; readonly issued: IssuedChain }
  | { readonly ok: false; readonly why: string };

/** Clocks of machines differ: what is signed now holds since so long, ms (Istio: 2 min). */
const backdateMs = 120_000;

/**
 * The mesh's certificate authority. Long-lived. It signs with the intermediate of one root; while a root is being
 * rotated, two are trusted. The steps are one SVID's lifetime apart, because by then every workload has asked anew: first the new root
 * is trusted, then it signs, then the old one is trusted no more. Nobody is ever shown a certificate whose root it does not know.
 */
export class CertificateAuthority {
  readonly #parts: AuthorityParts;
  #generations: readonly Generation[];
  #cancelCare: CancelTimer | undefined;
  #caring: Promise<void> = Promise.resolve();

  private constructor(parts: AuthorityParts, generations: readonly Generation[]) {
    this.#parts = parts;
    this.#generations = generations;
  }

  /** Reads what the folder holds, or makes a root. Rejects with an Error when the folder can't be read or written. */
  static async open(parts: AuthorityParts): Promise<CertificateAuthority> {
    const { folder, pluggedIn } = parts;
    const authority = new CertificateAuthority(parts, pluggedIn ? [pluggedIn] : await folder.load());
    await authority.care();
    if (pluggedIn !== undefined) await folder.writeRoots(authority.roots);
    return authority;
  }

  /** Looks after expiry and rotation from now on. */
  start(): void {
    const everyMs = Math.min(60_000, Math.max(250, this.#parts.lifetimes.leaf / 20));
    this.#cancelCare = this.#parts.clock.every(everyMs, () => void this.care());
  }

  async stop(): Promise<void> {
    this.#cancelCare?.();
    this.#cancelCare = undefined;
    await this.#caring;
  }

  get trustDomain(): string {
    return this.#parts.trustDomain;
  }

  /** All roots to trust, PEM; the one that signs is the last. */
  get roots(): readonly string[] {
    return [...this.#generations]
      .sort((one, other) => Number(one.phase === "signing") - Number(other.phase === "signing"))
      .map(({ root }) => root.certificate);
  }

  /** For metrics and people. */
  get generations(): readonly Generation[] {
    return this.#generations;
  }

  /**
   * Certifies the key of a request for `identity`, whatever names the request holds. `wantedMs`: 0 or more than may be gives as long as
   * may be. `why` is a phrase that follows "the signing request".
   */
  async issue(request: string, identity: WorkloadIdentity, wantedMs: number): Promise<Issue> {
    const read = await readSigningRequest(request);
    if (!read.ok) return read;
    return { ok: true, issued: await this.#sign(read.publicKey, { identity }, wantedMs) };
  }

  /** A certificate and key for the control plane's own port. */
  async issueOwn(names: LeafNames): Promise<IssuedChain & { readonly privateKey: string }> {
    const { publicKey, privateKey } = await makeLeafKey();
    return { ...(await this.#sign(publicKey, names, 0)), privateKey };
  }

  /** Begins the rotation of the root, unless one is under way. The steps that follow come by time. Rejects when nothing can be done. */
  async rotateRoot(): Promise<void> {
    if (this.#parts.pluggedIn !== undefined)
      throw new Error("the root was plugged in; plug in another and restart");
    if (this.#generations.some(({ phase }) => phase !== "signing"))
      throw new Error("a rotation is under way already");
    await this.#serial(async () => {
      await this.#keep([...this.#generations, await this.#makeGeneration("waiting")]);
      this.#parts.events.said("info", "a new root is trusted from now on; it signs later");
    });
  }

  /** Does what is due now: a first root, a new intermediate, the next step of a rotation, the repair of an expired root. */
  care(): Promise<void> {
    return this.#serial(() => this.#care());
  }

  #serial(run: () => Promise<void>): Promise<void> {
    const done = this.#caring.then(run);
    this.#caring = done.catch((error: Error) => this.#parts.events.said("error", error.message));
    return done;
  }

  async #care(): Promise<void> {
    const { clock, lifetimes, events, pluggedIn } = this.#parts;
    const now = clock.now();
    if (pluggedIn !== undefined) {
      if (expiryOf(pluggedIn) <= now)
        events.said("error", "the plugged-in authority has expired; plug in another and restart");
      return;
    }
    let next = this.#generations.filter(({ root }) => endOf(root.certificate) > now);
    if (next.length < this.#generations.length)
      events.said("warn", "a root has expired and is trusted no more");
    const waiting = next.find(({ phase }) => phase === "waiting");
    const signing = next.find(({ phase }) => phase === "signing");
    if (signing === undefined) {
      // Nobody could verify anything any more, so there is nothing to wait for.
      if (waiting !== undefined)
        next = next.map((one) => (one === waiting ? { ...one, phase: "signing", since: now } : one));
      else next = [...next, await this.#makeGeneration("signing")];
    } else if (waiting !== undefined && now - waiting.since >= lifetimes.leaf) {
      next = next.map((one) => {
        if (one === waiting) return { ...one, phase: "signing", since: now };
        return one === signing ? { ...one, phase: "leaving", since: now } : one;
      });
      events.said("info", "the new root signs from now on; the old one stays trusted for a while");
    } else if (waiting === undefined && rootIsOld(signing, lifetimes, now)) {
      next = [...next, await this.#makeGeneration("waiting")];
      events.said("info", "the root grows old: a new one is trusted from now on, and signs later");
    }
    const kept = next.filter(({ phase, since }) => phase !== "leaving" || now - since < lifetimes.leaf);
    if (kept.length < next.length) events.said("info", "the old root is trusted no more");
    const renewed = await Promise.all(kept.map((one) => this.#withFreshIntermediate(one, now)));
    const isSame =
      renewed.length === this.#generations.length &&
      renewed.every((one, index) => one === this.#generations[index]);
    if (!isSame) await this.#keep(renewed);
  }

  async #withFreshIntermediate(generation: Generation, now: number): Promise<Generation> {
    const { clock, lifetimes, trustDomain, events } = this.#parts;
    const { root, intermediate } = generation;
    const leftMs = endOf(intermediate.certificate) - now;
    const { privateKey } = root;
    const fullMs = endOf(intermediate.certificate) - startOf(intermediate.certificate);
    const atMostMs = endOf(root.certificate) - now;
    // A root near its end can't give more than it has.
    if (privateKey === undefined || leftMs > fullMs / 3 || atMostMs <= leftMs + 1_000) return generation;
    const validity = this.#validity(clock.now(), lifetimes.intermediate, endOf(root.certificate));
    const name = `Weft intermediate CA ${generation.id}`;
    events.said("info", "made a new intermediate authority");
    return {
      ...generation,
      intermediate: await makeIntermediate(trustDomain, name, validity, { ...root, privateKey }),
    };
  }

  async #makeGeneration(phase: Generation["phase"]): Promise<Generation> {
    const { trustDomain, lifetimes, clock } = this.#parts;
    const now = clock.now();
    const id = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, "");
    const validity = this.#validity(now, lifetimes.root, Number.POSITIVE_INFINITY);
    const root = await makeRoot(trustDomain, `Weft root CA ${id}`, validity);
    const below = this.#validity(now, lifetimes.intermediate, validity.notAfter);
    const intermediate = await makeIntermediate(trustDomain, `Weft intermediate CA ${id}`, below, root);
    return { id, root, intermediate, between: [], phase, since: now };
  }

  async #keep(generations: readonly Generation[]): Promise<void> {
    await this.#parts.folder.save(generations);
    this.#generations = generations;
    await this.#parts.folder.writeRoots(this.roots);
    this.#parts.events.changed();
  }

  async #sign(
    publicKey: Parameters<typeof makeLeaf>[0],
    names: LeafNames,
    wantedMs: number,
  ): Promise<IssuedChain> {
    const { clock, lifetimes } = this.#parts;
    const signing = this.#generations.find(({ phase }) => phase === "signing");
    if (signing === undefined) throw new Error("the authority has expired");
    const lifetimeMs = wantedMs > 0 ? Math.min(wantedMs, lifetimes.leaf) : lifetimes.leaf;
    const validity = this.#validity(clock.now(), lifetimeMs, expiryOf(signing));
    const leaf = await makeLeaf(publicKey, names, validity, signing.intermediate);
    const between =
      signing.intermediate.certificate === signing.root.certificate ? [] : [signing.intermediate.certificate];
    return {
      chain: [leaf, ...between, ...signing.between],
      roots: this.roots,
      expiresAt: validity.notAfter,
    };
  }

  #validity(now: number, lifetimeMs: number, atMost: number): Validity {
    const notAfter = Math.min(now + lifetimeMs, atMost);
    return { notBefore: now - backdateMs, notAfter: Math.floor(notAfter / 1000) * 1000 };
  }
}

/** So early that the rotation is over long before the root ends. */
function rootIsOld({ root }: Generation, { root: lifetime, leaf }: Lifetimes, now: number): boolean {
  return endOf(root.certificate) - now < Math.max(lifetime / 10, 4 * leaf);
}
