import type { EncodedResource } from "../../common/xds/encoded-resource.ts";

/** A response that was sent and not yet answered. */
export interface InFlight {
  readonly nonce: string;
  /** The snapshot that it was made from. */
  readonly version: string;
  readonly changed: readonly EncodedResource[];
  readonly removed: readonly string[];
  /** Clock.monotonic() at sending. */
  readonly sentAt: number;
}

export interface AckRecord {
  readonly nonce: string;
  readonly version: string;
  /** ms from sending to the answer. */
  readonly latencyMs: number;
}

export interface NackRecord {
  readonly nonce: string;
  readonly version: string;
  /** As the client said it, cut off when it is very long. */
  readonly why: string;
  /** The resources that it refused, each with the version that it refused. */
  readonly resources: ReadonlyMap<string, string>;
  /** Wall clock, ms. */
  readonly at: number;
}

/** Characters of a reason in which names are looked for. */
const maxReasonLength = 256 * 1024;
/** Characters of a reason that are kept and shown. */
const maxKeptLength = 16 * 1024;

/** What one client has of one type: sent, accepted, refused. At most one response is in flight at a time. */
export class Delivery {
  /** What the client has once it accepts what is in flight. */
  readonly sent = new Map<string, EncodedResource>();
  /** What it said that it accepted. */
  readonly acked = new Map<string, EncodedResource>();
  /** Refused versions, by name; not sent again until the version changes, or what else the client has does. */
  readonly refused = new Map<string, string>();
  /**
   * Names of refused ones that are to be offered once more: what they clashed with may be gone, since the client has taken another
   * change of this type.
   */
  readonly reconsidered = new Set<string>();
  inFlight: InFlight | undefined;
  lastAck: AckRecord | undefined;
  lastNack: NackRecord | undefined;

  /** A reconnecting client already has these. Their bytes are not known and not needed. */
  adopt(versions: ReadonlyMap<string, string>): void {
    for (const [name, version] of versions) {
      const resource = { name, version, bytes: new Uint8Array() };
      this.sent.set(name, resource);
      this.acked.set(name, resource);
    }
  }

  begin(response: InFlight): void {
    this.inFlight = response;
    for (const resource of response.changed) {
      this.sent.set(resource.name, resource);
      this.reconsidered.delete(resource.name);
    }
    for (const name of response.removed) this.sent.delete(name);
  }

  /** The client no longer wants it, and drops it without being told. */
  forget(name: string): void {
    this.sent.delete(name);
    this.acked.delete(name);
    this.pardon(name);
  }

  /** True when the client has refused just this and nothing speaks for asking it again. */
  keepsOut({ name, version }: EncodedResource): boolean {
    return this.refused.get(name) === version && !this.reconsidered.has(name);
  }

  /** That it was refused no longer matters. */
  pardon(name: string): void {
    this.refused.delete(name);
    this.reconsidered.delete(name);
  }

  /** False when `nonce` is not the one in flight: an answer to something older, which says nothing about now. */
  ack(nonce: string, now: number): boolean {
    const response = this.#take(nonce);
    if (!response) return false;
    this.#apply(response, response.changed);
    this.lastAck = { nonce, version: response.version, latencyMs: now - response.sentAt };
    return true;
  }

  /**
   * The client refused some of a response; the rest of it applies. Names that occur in `why` were refused; a reason that
   * names none refuses all.
   */
  nack(nonce: string, why: string, wallNow: number): NackRecord | undefined {
    const response = this.#take(nonce);
    if (!response) return undefined;
    // To look for every name in a very long reason would hold up all others; one so long counts for all.
    const named =
      why.length > maxReasonLength ? [] : response.changed.filter(({ name }) => mentions(why, name));
    const refused = new Set(named.length > 0 ? named : response.changed);
    this.#apply(
      response,
      response.changed.filter((resource) => !refused.has(resource)),
    );
    // After that: those it has just refused, it has seen beside all that came with them.
    for (const resource of refused) this.#refuse(resource);
    const resources = new Map(Array.from(refused, ({ name, version }) => [name, version]));
    const kept = why.length > maxKeptLength ? `${why.slice(0, maxKeptLength)}…` : why;
    this.lastNack = { nonce, version: response.version, why: kept, resources, at: wallNow };
    return this.lastNack;
  }

  #take(nonce: string): InFlight | undefined {
    if (this.inFlight?.nonce !== nonce) return undefined;
    const response = this.inFlight;
    this.inFlight = undefined;
    return response;
  }

  #apply({ removed }: InFlight, accepted: readonly EncodedResource[]): void {
    let isChange = false;
    for (const resource of accepted) if (this.#accept(resource)) isChange = true;
    for (const name of removed) if (this.#drop(name)) isChange = true;
    if (isChange) for (const name of this.refused.keys()) this.reconsidered.add(name);
  }

  /** True when the client had another version, or none. */
  #accept(resource: EncodedResource): boolean {
    const { name, version } = resource;
    if (this.sent.get(name) !== resource) return false;
    const before = this.acked.get(name)?.version;
    this.acked.set(name, resource);
    this.pardon(name);
    return before !== version;
  }

  /** True when the client had it. */
  #drop(name: string): boolean {
    if (this.sent.has(name)) return false;
    this.pardon(name);
    return this.acked.delete(name);
  }

  /** The client keeps its last good version. */
  #refuse(resource: EncodedResource): void {
    if (this.sent.get(resource.name) !== resource) return;
    this.refused.set(resource.name, resource.version);
    this.reconsidered.delete(resource.name);
    const lastGood = this.acked.get(resource.name);
    if (lastGood) this.sent.set(resource.name, lastGood);
    else this.sent.delete(resource.name);
  }
}

/** True when `text` holds `name` as a word of its own and not as a part of a longer name. */
function mentions(text: string, name: string): boolean {
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    if (
      !isNameCharacter(text[at - 1]) &&
      !isNameCharacter(text[at + name.length], text[at + name.length + 1])
    )
      return true;
  }
  return false;
}

/** Dots and colons end sentences too, so behind a name they belong to it only when the name goes on. */
function isNameCharacter(character: string | undefined, next = "x"): boolean {
  if (character === undefined) return false;
  return /[A-Za-z0-9_|/*-]/.test(character) || (/[.:]/.test(character) && /[A-Za-z0-9_]/.test(next));
}
