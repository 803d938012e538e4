import type { ResourceKind } from "../../common/xds/type-url.ts";
import { splitVirtualHostResourceName } from "../../common/xds/type-url.ts";

/** Names per type and stream; more closes the stream, so that no client can fill the control plane's memory. */
export const maxSubscribedNames = 50_000;
/** Characters of all those names together. */
const maxTextLength = 4 * 1024 * 1024;
const maxNameLength = 4096;
const wildcard = "*";

/** What one client wants of one type. */
export class Subscription {
  readonly kind: ResourceKind;
  readonly names = new Set<string>();
  /** Names whose existence the client has asked about since it was last answered. */
  readonly owed = new Set<string>();
  /** True until the first request of this type was answered: an empty answer counts, clients wait for it. */
  owesFirstAnswer = false;
  isStarted = false;
  isWildcard = false;
  #textLength = 0;

  constructor(kind: ResourceKind) {
    this.kind = kind;
  }

  /** Characters of `names` together. */
  get textLength(): number {
    return this.#textLength;
  }

  /**
   * Delta: names that come and go. A first request without names means everything on CDS and LDS (the protocol's older form of
   * "*"). Returns what was wrong with the request, if anything.
   */
  change(subscribe: readonly string[], unsubscribe: readonly string[]): string | undefined {
    if (!this.isStarted) {
      this.isStarted = true;
      this.owesFirstAnswer = true;
      const takesAll = this.kind === "cluster" || this.kind === "listener";
      if (subscribe.length === 0 && takesAll) this.isWildcard = true;
    }
    for (const name of unsubscribe) {
      if (name === wildcard) this.isWildcard = false;
      this.#drop(name);
      this.owed.delete(name);
    }
    for (const name of subscribe) this.#add(name);
    return this.#excess(subscribe);
  }

  /** State of the world: the whole list at once. Returns what was wrong with the request, if anything. */
  replace(names: readonly string[]): string | undefined {
    const wanted = new Set(names);
    if (names.length === 0 && !this.names.size) return this.change([], []);
    for (const name of this.names) {
      if (wanted.has(name)) wanted.delete(name);
      else this.#drop(name);
    }
    return this.change([...wanted], []);
  }

  matches(name: string): boolean {
    if (this.isWildcard || this.names.has(name)) return true;
    return (
      this.kind === "virtual-host" && this.names.has(splitVirtualHostResourceName(name).routeConfiguration)
    );
  }

  /** True when `name` stands for a set of resources and not for one. */
  isNamespace(name: string): boolean {
    return this.kind === "virtual-host" && splitVirtualHostResourceName(name).virtualHost === undefined;
  }

  #add(name: string): void {
    if (name === wildcard) {
      this.isWildcard = true;
      this.owesFirstAnswer = true;
      return;
    }
    if (!this.names.has(name)) this.#textLength += name.length;
    this.names.add(name);
    this.owed.add(name);
  }

  #drop(name: string): void {
    if (this.names.delete(name)) this.#textLength -= name.length;
  }

  #excess(added: readonly string[]): string | undefined {
    if (this.names.size > maxSubscribedNames)
      return `more than ${maxSubscribedNames} names subscribed on ${this.kind}`;
    if (this.#textLength > maxTextLength)
      return `the names subscribed on ${this.kind} have more than ${maxTextLength} characters`;
    if (added.some((name) => name.length > maxNameLength))
      return `a resource name is longer than ${maxNameLength}`;
    return undefined;
  }
}

/** What is wrong with the versions that a client says it has, if anything. */
export function excessOfVersions(
  kind: ResourceKind,
  versions: ReadonlyMap<string, string>,
): string | undefined {
  if (versions.size > maxSubscribedNames)
    return `more than ${maxSubscribedNames} versions of resources of ${kind}`;
  let length = 0;
  for (const [name, version] of versions) length += name.length + version.length;
  return length > maxTextLength
    ? `the names and versions of ${kind} have more than ${maxTextLength} characters`
    : undefined;
}
