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
  /** Refused versions, by name; not sent again until the version changes. */
  readonly refused = new Map<string, string>();
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
    for (const resource of response.changed) this.sent.set(resource.name, resource);
    for (const name of response.removed) this.sent.delete(name);
  }

  /** The client no longer wants it, and drops it without being told. */
  forget(name: string): void {
    this.sent.delete(name);
    this.acked.delete(name);
    this.refused.delete(name);
  }

  /** False when `nonce` is not the one in flight: an answer to something older, which says nothing about now. */
  ack(nonce: string, now: number): boolean {
    const response = this.#take(nonce);
    if (!response) return false;
    for (const resource of response.changed) this.#accept(resource);
    for (const name of response.removed) this.#drop(name);
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
    for (const resource of response.changed) {
      if (refused.has(resource)) this.#refuse(resource);
      else this.#accept(resource);
    }
    for (const name of response.removed) this.#drop(name);
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

  #accept(resource: EncodedResource): void {
    if (this.sent.get(resource.name) !== resource) return;
    this.acked.set(resource.name, resource);
    this.refused.delete(resource.name);
  }

  #drop(name: string): void {
    if (this.sent.has(name)) return;
    this.acked.delete(name);
    this.refused.delete(name);
  }

  /** The client keeps its last good version. */
  #refuse(resource: EncodedResource): void {
    if (this.sent.get(resource.name) !== resource) return;
    this.refused.set(resource.name, resource.version);
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
