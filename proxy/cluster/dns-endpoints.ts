import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { Random } from "../../common/base/random.ts";
import type { Endpoint } from "../../common/model/endpoint.ts";
import type { AddressResolver } from "./resolver.ts";

export interface DnsEndpointsParts {
  /** Each host is one endpoint under its own name, and `addressOf` says where its next connection goes (Envoy's LOGICAL_DNS). */
  readonly isLogical: boolean;
  readonly resolver: AddressResolver;
  readonly clock: Clock;
  readonly random: Random;
  /** Gets all addresses of all hosts after each answer that changed something; empty only while nothing ever resolved. */
  readonly onChange: (endpoints: readonly Endpoint[]) => void;
}

/**
 * Keeps the addresses behind a cluster's host names fresh (Envoy's STRICT_DNS, and LOGICAL_DNS): every name is asked again when its answer's time is
 * over. A failure keeps the last good addresses, because a name server that is down says nothing about the service.
 */
export class DnsEndpoints {
  readonly #hosts: readonly Endpoint[];
  readonly #parts: DnsEndpointsParts;
  readonly #addresses: (readonly string[] | undefined)[];
  readonly #timers: (CancelTimer | undefined)[];
  #unanswered: number;
  #isStopped = false;

  constructor(hosts: readonly Endpoint[], parts: DnsEndpointsParts) {
    this.#hosts = hosts;
    this.#parts = parts;
    this.#addresses = hosts.map(() => undefined);
    this.#timers = hosts.map(() => undefined);
    this.#unanswered = hosts.length;
  }

  start(): void {
    this.#hosts.forEach((_, at) => {
      this.#ask(at);
    });
  }

  /** Of a logical host, the first address of its newest answer; any other name is its own address. */
  addressOf(hostname: string): string {
    const at = this.#hosts.findIndex(({ address }) => address === hostname);
    return this.#addresses[at]?.[0] ?? hostname;
  }

  stop(): void {
    this.#isStopped = true;
    for (const cancel of this.#timers) cancel?.();
  }

  #ask(at: number): void {
    const host = this.#hosts[at]!;
    this.#parts.resolver.resolve(host.address).then(
      ({ addresses, ttlMs }) => this.#answered(at, this.#inOrder(addresses), ttlMs ?? refreshMs),
      () => this.#answered(at, this.#addresses[at] ?? [], refreshMs),
    );
  }

  #answered(at: number, addresses: readonly string[], ttlMs: number): void {
    if (this.#isStopped) return;
    const known = this.#addresses[at];
    this.#addresses[at] = addresses;
    if (known === undefined) this.#unanswered--;
    // Where a logical host's next connection goes is asked for then; those that are open stay.
    const isNews = this.#parts.isLogical
      ? known === undefined || (known.length === 0) !== (addresses.length === 0)
      : known === undefined || known.join() !== addresses.join();
    if (isNews && (this.#unanswered === 0 || addresses.length > 0)) this.#parts.onChange(this.#endpoints());
    if (ttlMs === Number.POSITIVE_INFINITY) return;
    // Jitter keeps a thousand proxies from asking in the same moment for ever.
    const inMs = Math.max(ttlMs, refreshMs) * (1 + jitter * this.#parts.random());
    this.#timers[at] = this.#parts.clock.after(inMs, () => this.#ask(at));
  }

  /** Answers come in any order, which means something only where the first one counts. */
  #inOrder(addresses: readonly string[]): readonly string[] {
    return this.#parts.isLogical ? addresses : [...addresses].sort();
  }

  #endpoints(): Endpoint[] {
    if (this.#parts.isLogical) return this.#hosts.filter((_, at) => (this.#addresses[at] ?? []).length > 0);
    return this.#hosts.flatMap((host, at) =>
      (this.#addresses[at] ?? []).map((address) => ({ ...host, address })),
    );
  }
}

/** Envoy's default dns_refresh_rate; also the shortest, whatever the name server says. */
const refreshMs = 5_000;
const jitter = 0.2;
