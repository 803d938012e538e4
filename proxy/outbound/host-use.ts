import type { Exchange } from "../http/exchange.ts";

/** How long ago a virtual host was last asked for, and by how many requests that are not over. */
export class HostUse {
  /** The virtual host's VHDS name; undefined for a name that none answers to. */
  readonly resource: string | undefined;
  /** Monotonic ms. */
  usedAt: number;
  underWay = 0;
  readonly #release = () => {
    this.underWay -= 1;
  };

  constructor(resource: string | undefined, now: number) {
    this.resource = resource;
    this.usedAt = now;
  }

  /** Counts a request until it is over. */
  count(exchange: Exchange): void {
    this.usedAt = exchange.startedAt;
    this.underWay += 1;
    exchange.onFinish(this.#release);
  }
}
