import type { Exchange } from "../http/exchange.ts";
import type { Layer } from "../http/layer.ts";

/** Looks at an exchange that is over. Must not throw and must not change it. */
export type Observer = (exchange: Exchange) => void;

/** The topmost layer of a stack: metrics and access log see each exchange once, after its last byte. */
export function observe(observers: readonly Observer[]): Layer {
  const [first, second] = observers;
  if (first === undefined) return (next) => next;
  let all: Observer = first;
  if (observers.length === 2) {
    all = (exchange) => {
      first(exchange);
      second!(exchange);
    };
  } else if (observers.length > 2) {
    all = (exchange) => {
      for (const observer of observers) observer(exchange);
    };
  }
  return (next) => (exchange) => {
    exchange.onFinish(all);
    return next(exchange);
  };
}

/** Counts exchanges under way: for drain and for the `weft_active_requests` gauge. */
export class ActiveRequests {
  #count = 0;
  readonly #ended = (): void => {
    this.#count--;
  };

  get count(): number {
    return this.#count;
  }

  readonly layer: Layer = (next) => (exchange) => {
    this.#count++;
    exchange.onFinish(this.#ended);
    return next(exchange);
  };
}
