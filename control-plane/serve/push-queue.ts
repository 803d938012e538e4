import type { CancelTimer, Clock } from "../../common/base/clock.ts";

/** How long proxies are served before the event loop gets its turn, ms. */
const sliceMs = 10;

/**
 * Proxies that wait for a push, each at most once: what happens while one waits is merged into its one push. Serving them in
 * slices keeps answers, health checks and new connections from waiting behind a push to thousands.
 */
export class PushQueue<T> {
  readonly #waiting = new Set<T>();
  readonly #serve: (item: T) => void;
  readonly #clock: Clock;
  #cancel: CancelTimer | undefined;

  constructor(clock: Clock, serve: (item: T) => void) {
    this.#clock = clock;
    this.#serve = serve;
  }

  add(item: T): void {
    this.#waiting.add(item);
    this.#cancel ??= this.#clock.after(0, () => this.#run());
  }

  remove(item: T): void {
    this.#waiting.delete(item);
  }

  get size(): number {
    return this.#waiting.size;
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#waiting.clear();
  }

  #run(): void {
    this.#cancel = undefined;
    const until = this.#clock.monotonic() + sliceMs;
    for (const item of this.#waiting) {
      this.#waiting.delete(item);
      this.#serve(item);
      if (this.#clock.monotonic() >= until) break;
    }
    if (this.#waiting.size > 0) this.#cancel ??= this.#clock.after(0, () => this.#run());
  }
}
