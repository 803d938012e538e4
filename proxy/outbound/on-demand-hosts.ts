import type { Clock } from "../../common/base/clock.ts";
import { canonicalAuthority } from "../../common/routing/host.ts";
import type { RouteTable } from "../../common/routing/route-table.ts";
import { splitVirtualHostResourceName, virtualHostResourceName } from "../../common/xds/type-url.ts";
import type { MeshError } from "../errors.ts";
import { meshError } from "../errors.ts";
import type { Exchange } from "../http/exchange.ts";
import { askedHost } from "./asked-host.ts";
import { HostUse } from "./host-use.ts";

export interface OnDemandSettings {
  /** ms that a request waits for the answer of a control plane that is there. */
  readonly waitMs: number;
  /** ms after which a host that no request used is given up. */
  readonly idleMs: number;
  /** Names at a time that no virtual host is called: absent ones, those that a wildcard answers, and those not yet answered. */
  readonly maxLooseNames: number;
}

export interface OnDemandHostsParts extends OnDemandSettings {
  readonly configuration: string;
  readonly clock: Clock;
  readonly table: () => Pick<RouteTable<unknown>, "locate"> | undefined;
  /** False: nobody would answer, so what is held decides. */
  readonly mayAsk: () => boolean;
  /** VHDS names. */
  readonly subscribe: (names: readonly string[]) => void;
  readonly unsubscribe: (names: readonly string[]) => void;
}

/** What changed at the control plane's word. */
export interface HostsChange {
  /** VHDS name of a virtual host → the other names by which it was asked for. */
  readonly updated: ReadonlyMap<string, readonly string[]>;
  /** Virtual hosts that are gone, and names that nothing answers to. */
  readonly removed: readonly string[];
}

/** How many names are held by what is known of them, and how requests' waits for an answer ended. */
export interface OnDemandCounts {
  readonly known: number;
  readonly absent: number;
  readonly asked: number;
  readonly answered: number;
  readonly unanswered: number;
}

/** An authority that requests named. */
interface HostName {
  readonly authority: string;
  /** Undefined until the control plane has said what it means. */
  use: HostUse | undefined;
  /** False: the virtual host that has this very domain is here because of another name. */
  readonly isSubscribed: boolean;
  readonly waiting: Set<() => void>;
}

/**
 * The virtual hosts of one route configuration that are asked for when a request first names them (Envoy's on-demand VHDS). What an
 * authority means is remembered, also that it means nothing; all requests that wait for one name share one subscription.
 */
export class OnDemandHosts {
  readonly #parts: OnDemandHostsParts;
  readonly #names = new Map<string, HostName>();
  readonly #uses = new Map<string, HostUse>();
  /** Virtual hosts that were given up and that the control plane has not taken away yet. */
  readonly #leaving = new Set<string>();
  /** Names in the order in which they were asked that no virtual host is called, as far as is known. */
  readonly #loose = new Set<HostName>();
  #answered = 0;
  #unanswered = 0;

  constructor(parts: OnDemandHostsParts) {
    this.#parts = parts;
  }

  get counts(): OnDemandCounts {
    let [known, asked] = [0, 0];
    for (const { use } of this.#names.values()) {
      if (use === undefined) asked += 1;
      else if (use.resource !== undefined) known += 1;
    }
    const absent = this.#names.size - known - asked;
    return { known, absent, asked, answered: this.#answered, unanswered: this.#unanswered };
  }

  /** Counts a request whose host is known by the very name that it used; false when it isn't. */
  count(exchange: Exchange): boolean {
    const use = this.#names.get(askedHost(exchange))?.use;
    use?.count(exchange);
    return use !== undefined;
  }

  /**
   * Resolves when the table has what the control plane knows of the request's host. Rejects when it does not answer in time. While it
   * is away nothing is waited for.
   */
  async find(exchange: Exchange): Promise<void> {
    const authority = canonicalAuthority(askedHost(exchange));
    const name = this.#names.get(authority) ?? this.#see(authority) ?? this.#ask(authority);
    if (name === undefined) return;
    if (name.use === undefined && this.#parts.mayAsk()) await this.#answer(name, exchange);
    name.use?.count(exchange);
  }

  /** Hosts that were used before a restart are asked for again, before any request does. */
  restore(resources: Iterable<string>): void {
    for (const resource of resources) {
      const authority = splitVirtualHostResourceName(resource).virtualHost ?? "";
      this.#names.set(authority, newName(authority, this.#useOf(resource)));
      this.#parts.subscribe([resource]);
    }
  }

  /** To be called when the table has the changes. */
  changed({ updated, removed }: HostsChange): void {
    for (const [resource, aliases] of updated) {
      const use = this.#useOf(resource);
      this.#leaving.delete(resource);
      // Its domains may be others now; who asks for one of these is looked up anew.
      for (const name of this.#names.values()) if (name.use === use && !name.isSubscribed) this.#forget(name);
      for (const alias of [resource, ...aliases]) this.#meant(this.#nameOf(alias), use);
    }
    for (const gone of removed) this.#gone(gone);
    for (const name of this.#loose) {
      const resource = name.use === undefined ? this.#holderOf(name.authority) : undefined;
      if (resource !== undefined) this.#meant(name, this.#useOf(resource));
    }
  }

  /** Gives up what no request has used for long, unless one still does. */
  sweep(): void {
    const oldest = this.#parts.clock.monotonic() - this.#parts.idleMs;
    const isIdle = ({ use, waiting }: HostName) =>
      waiting.size === 0 && (use === undefined || (use.underWay === 0 && use.usedAt <= oldest));
    const idle = [...this.#names.values()].filter(isIdle);
    for (const name of idle) this.#forget(name);
    for (const { use } of idle) {
      if (use?.resource === undefined) continue;
      this.#uses.delete(use.resource);
      this.#leaving.add(use.resource);
    }
    this.#unsubscribe(idle);
  }

  /** A name that is a domain of a virtual host that is here anyway. */
  #see(authority: string): HostName | undefined {
    const resource = this.#holderOf(authority);
    if (resource === undefined || this.#leaving.has(resource)) return undefined;
    const name = { ...newName(authority, this.#useOf(resource)), isSubscribed: false };
    this.#names.set(authority, name);
    return name;
  }

  #holderOf(authority: string): string | undefined {
    const found = this.#parts.table()?.locate(authority);
    if (found?.domain !== authority) return undefined;
    return virtualHostResourceName(this.#parts.configuration, found.host.virtualHost.name);
  }

  #ask(authority: string): HostName | undefined {
    if (!isHost(authority) || !this.#parts.mayAsk()) return undefined;
    this.#makeRoom();
    const name = newName(authority, undefined);
    this.#names.set(authority, name);
    this.#loose.add(name);
    this.#parts.subscribe([this.#resourceOf(name)]);
    return name;
  }

  /** Who scans names must not grow the memory of anyone. */
  #makeRoom(): void {
    if (this.#loose.size < this.#parts.maxLooseNames) return;
    let oldest: HostName | undefined;
    for (const name of this.#loose) {
      if (name.waiting.size > 0 || (name.use?.underWay ?? 0) > 0) continue;
      if (oldest === undefined || (name.use?.usedAt ?? 0) < (oldest.use?.usedAt ?? 0)) oldest = name;
    }
    if (oldest === undefined) throw meshError("overloaded", "too_many_unknown_hosts");
    this.#forget(oldest);
    this.#unsubscribe([oldest]);
  }

  #answer(name: HostName, exchange: Exchange): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: MeshError): void => {
        cancelTimer();
        name.waiting.delete(answered);
        exchange.whenCancelled(undefined);
        if (error === undefined) resolve();
        else reject(error);
      };
      const answered = () => {
        this.#answered += 1;
        done();
      };
      const cancelTimer = this.#parts.clock.after(this.#parts.waitMs, () => {
        this.#unanswered += 1;
        done(this.#parts.mayAsk() ? meshError("host_not_discovered", "control_plane_silent") : undefined);
      });
      name.waiting.add(answered);
      exchange.whenCancelled(done);
    });
  }

  #meant(name: HostName | undefined, use: HostUse): void {
    if (name === undefined) return;
    name.use = use;
    if (this.#holderOf(name.authority) !== undefined) this.#loose.delete(name);
    for (const answered of [...name.waiting]) answered();
  }

  #gone(name: string): void {
    // The end of what was given up says nothing about who asks for it again.
    if (this.#leaving.delete(name)) return;
    const use = this.#uses.get(name);
    this.#uses.delete(name);
    const own = use === undefined ? [] : [...this.#names.values()].filter((known) => known.use === use);
    for (const known of own) {
      if (!known.isSubscribed) this.#forget(known);
      else {
        this.#meant(known, new HostUse(undefined, use!.usedAt));
        this.#loose.add(known);
      }
    }
    const asked = this.#nameOf(name);
    if (asked !== undefined && asked.use === undefined)
      this.#meant(asked, new HostUse(undefined, this.#parts.clock.monotonic()));
  }

  #useOf(resource: string): HostUse {
    let use = this.#uses.get(resource);
    if (use === undefined) {
      use = new HostUse(resource, this.#parts.clock.monotonic());
      this.#uses.set(resource, use);
    }
    return use;
  }

  #nameOf(vhdsName: string): HostName | undefined {
    const { virtualHost: authority } = splitVirtualHostResourceName(vhdsName);
    return authority === undefined ? undefined : this.#names.get(authority);
  }

  #resourceOf({ authority }: HostName): string {
    return virtualHostResourceName(this.#parts.configuration, authority);
  }

  #forget(name: HostName): void {
    this.#names.delete(name.authority);
    this.#loose.delete(name);
  }

  #unsubscribe(names: readonly HostName[]): void {
    const subscribed = names.filter(({ isSubscribed }) => isSubscribed);
    if (subscribed.length > 0) this.#parts.unsubscribe(subscribed.map((name) => this.#resourceOf(name)));
  }
}

function newName(authority: string, use: HostUse | undefined): HostName {
  return { authority, use, isSubscribed: true, waiting: new Set() };
}

/** What DNS could know or an address; everything else has no virtual host but the one for all. */
function isHost(authority: string): boolean {
  return authority.length <= maxAuthorityLength && /^[\w.:[\]-]+$/.test(authority);
}

/** A DNS name has at most 253 characters, and a port five. */
const maxAuthorityLength = 260;
