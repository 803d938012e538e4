import type { Clock } from "../../common/base/clock.ts";
import { splitVirtualHostResourceName } from "../../common/xds/type-url.ts";
import type { HostsChange, OnDemandCounts, OnDemandSettings } from "./on-demand-hosts.ts";
import { OnDemandHosts } from "./on-demand-hosts.ts";
import type { CurrentRoutes } from "./routes.ts";

/** Who is asked for virtual hosts; `XdsClient` is one. */
export interface HostSource {
  /** False: it sends everything without being asked. */
  readonly isOnDemand: boolean;
  subscribe(names: readonly string[]): void;
  unsubscribe(names: readonly string[]): void;
}

export interface OnDemandParts extends OnDemandSettings {
  readonly clock: Clock;
  /** Undefined when there is none, or not yet. */
  readonly source: () => HostSource | undefined;
}

export const defaultOnDemand: OnDemandSettings = {
  waitMs: 2_000,
  idleMs: 3_600_000,
  maxLooseNames: 1_000,
};

/** Asks for the virtual hosts of all route configurations when requests first name them. */
export class OnDemand {
  readonly #parts: OnDemandParts;
  readonly #byConfiguration = new Map<string, OnDemandHosts>();
  /** Monotonic ms: since when no control plane answers. */
  #awaySince: number | undefined;

  constructor(parts: OnDemandParts) {
    this.#parts = parts;
    this.#awaySince = parts.clock.monotonic();
  }

  /** ms after which a host that no request used is given up. */
  get idleMs(): number {
    return this.#parts.idleMs;
  }

  /** Of all route configurations together. */
  get counts(): OnDemandCounts {
    const all = Array.from(this.#byConfiguration.values(), (hosts) => hosts.counts);
    const sum = (key: keyof OnDemandCounts) => all.reduce((total, counts) => total + counts[key], 0);
    return {
      known: sum("known"),
      absent: sum("absent"),
      asked: sum("asked"),
      answered: sum("answered"),
      unanswered: sum("unanswered"),
    };
  }

  hostsOf(configuration: string, routes: Pick<CurrentRoutes, "table">): OnDemandHosts {
    const { source, ...parts } = this.#parts;
    const hosts = new OnDemandHosts({
      ...parts,
      configuration,
      table: () => routes.table,
      mayAsk: () => this.#mayAsk(),
      subscribe: (names) => source()?.subscribe(names),
      unsubscribe: (names) => source()?.unsubscribe(names),
    });
    this.#byConfiguration.set(configuration, hosts);
    return hosts;
  }

  /** To be called with the virtual hosts that were restored from disk, but for those for all hosts. */
  restore(resources: Iterable<string>): void {
    for (const [configuration, own] of Map.groupBy(resources, configurationOf))
      this.#byConfiguration.get(configuration)?.restore(own);
  }

  connected(): void {
    this.#awaySince = undefined;
  }

  disconnected(): void {
    this.#awaySince ??= this.#parts.clock.monotonic();
  }

  changed({ updated, removed }: HostsChange): void {
    for (const [configuration, hosts] of this.#byConfiguration) {
      const isOwn = (name: string) => configurationOf(name) === configuration;
      hosts.changed({
        updated: new Map([...updated].filter(([name]) => isOwn(name))),
        removed: removed.filter(isOwn),
      });
    }
  }

  /** To be called now and then. What can't be asked for again is kept. */
  sweep(): void {
    if (this.#awaySince !== undefined || !this.#mayAsk()) return;
    for (const hosts of this.#byConfiguration.values()) hosts.sweep();
  }

  /** A control plane that restarts is back soon enough to be waited for; one that stays away holds nobody up. */
  #mayAsk(): boolean {
    if (this.#parts.source()?.isOnDemand !== true) return false;
    const { clock, waitMs } = this.#parts;
    return this.#awaySince === undefined || clock.monotonic() - this.#awaySince < waitMs;
  }
}

function configurationOf(vhdsName: string): string {
  return splitVirtualHostResourceName(vhdsName).routeConfiguration;
}
