/** Names of which something was seen lately; so many at most, and the one that was used longest ago makes room. */
export class RecentlySeen {
  readonly #max: number;
  readonly #names = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  note(name: string, isSeen: boolean): void {
    this.#names.delete(name);
    if (!isSeen) return;
    this.#names.add(name);
    if (this.#names.size <= this.#max) return;
    const [oldest] = this.#names;
    this.#names.delete(oldest!);
  }
}
