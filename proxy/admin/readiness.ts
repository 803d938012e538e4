/**
 * What must be done before traffic may come, as a list of named tasks; the proxy is ready once none is open. A task may open
 * again, as `drain` does.
 */
export class Readiness {
  readonly #open: Set<string>;
  #whenReady: (() => void)[] = [];

  constructor(tasks: readonly string[]) {
    this.#open = new Set(tasks);
  }

  /** The names of the tasks that are still open, in the order they were named. */
  get open(): readonly string[] {
    return [...this.#open];
  }

  get isReady(): boolean {
    return this.#open.size === 0;
  }

  done(task: string): void {
    this.#open.delete(task);
    if (this.isReady) for (const run of this.#whenReady.splice(0)) run();
  }

  /** Makes the proxy unready again, such as while it drains. */
  reopen(task: string): void {
    this.#open.add(task);
  }

  /** Runs once when no task is open any more; at once when that is so now. */
  whenReady(run: () => void): void {
    if (this.isReady) run();
    else this.#whenReady.push(run);
  }
}
