import type { Exchange } from "../http/exchange.ts";

/** What an injected fault did. */
export type FaultKind = "delay" | "abort" | "response-limit" | "tcp-delay" | "tcp-reset" | "tcp-limit";

/**
 * The faults of a proxy, counted, and how many are under way: a request that had one counts until it is answered completely. Bounds
 * them (Envoy's max_active_faults), so that an experiment cannot take more of a service than it was meant to.
 */
export class ActiveFaults {
  readonly injected: Record<FaultKind, number> = {
    delay: 0,
    abort: 0,
    "response-limit": 0,
    "tcp-delay": 0,
    "tcp-reset": 0,
    "tcp-limit": 0,
  };
  /** Requests that have a fault now. */
  active = 0;
  /** Requests that would have had one and were spared by the bound. */
  overflowed = 0;
  readonly #harmed = new WeakSet<Exchange>();

  /** Whether a request may have a fault; if so it counts. One that has one already may have another. */
  begin(exchange: Exchange, kind: FaultKind, most: number | undefined): boolean {
    if (!this.#harmed.has(exchange)) {
      if (most !== undefined && this.active >= most) {
        this.overflowed++;
        return false;
      }
      this.#harmed.add(exchange);
      this.active++;
      exchange.onFinish(() => {
        this.active--;
      });
    }
    this.injected[kind]++;
    return true;
  }

  /** A connection had one. */
  count(kind: FaultKind): void {
    this.injected[kind]++;
  }
}
