import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { ProxyNode } from "../../common/model/node.ts";

export interface KnownProxiesParts {
  /** The control plane's state folder. */
  readonly folder: string;
  readonly clock: Clock;
}

/** ms after the start in which a proxy comes back if it lives: proxies wait at most 10 s between attempts. */
export const returnMs = 12_000;
const saveDelayMs = 250;

/**
 * The proxies that were connected, on disk, so that a restarted control plane knows whom to expect: who asks whether all run
 * a change must not be told yes while half of them are on their way back.
 */
export class KnownProxies {
  readonly #file: string;
  readonly #clock: Clock;
  /** With the number of streams: a proxy that comes back may be here before its old stream is gone. */
  readonly #connected = new Map<string, { readonly name: string; readonly streams: number }>();
  #missing = new Map<string, string>();
  #cancelReturn: CancelTimer | undefined;
  #cancelSave: CancelTimer | undefined;
  #saved: Promise<void> = Promise.resolve();

  constructor({ folder, clock }: KnownProxiesParts) {
    this.#file = join(folder, "proxies.json");
    this.#clock = clock;
  }

  /** Names of those that were connected before the restart and are not yet back, until they had the time for it. */
  get missing(): readonly string[] {
    return [...this.#missing.values()];
  }

  async load(): Promise<void> {
    this.#missing = readProxies(await readFile(this.#file, "utf8").catch(() => ""));
    if (this.#missing.size === 0) return;
    this.#cancelReturn = this.#clock.after(returnMs, () => {
      this.#missing.clear();
      this.#saveSoon();
    });
  }

  connected({ id, name, namespace }: ProxyNode): void {
    const streams = (this.#connected.get(id)?.streams ?? 0) + 1;
    this.#connected.set(id, { name: `${name}.${namespace}`, streams });
    this.#missing.delete(id);
    this.#saveSoon();
  }

  disconnected({ id }: ProxyNode): void {
    const known = this.#connected.get(id);
    if (known !== undefined && known.streams > 1) {
      this.#connected.set(id, { ...known, streams: known.streams - 1 });
      return;
    }
    this.#connected.delete(id);
    this.#saveSoon();
  }

  /** Resolves when nothing is being written any more. */
  async stop(): Promise<void> {
    this.#cancelReturn?.();
    if (this.#cancelSave !== undefined) this.#save();
    await this.#saved;
  }

  #saveSoon(): void {
    this.#cancelSave ??= this.#clock.after(saveDelayMs, () => this.#save());
  }

  #save(): void {
    this.#cancelSave?.();
    this.#cancelSave = undefined;
    const text = JSON.stringify([
      ...this.#missing,
      ...Array.from(this.#connected, ([id, { name }]) => [id, name]),
    ]);
    // Without it a restarted control plane waits for nobody, which is no reason to fail now.
    this.#saved = this.#saved.then(() => this.#write(text)).catch(() => {});
  }

  async #write(text: string): Promise<void> {
    await mkdir(join(this.#file, ".."), { recursive: true, mode: 0o700 });
    await writeFile(`${this.#file}.new`, text, { mode: 0o600 });
    await rename(`${this.#file}.new`, this.#file);
  }
}

function readProxies(text: string): Map<string, string> {
  try {
    const entries = JSON.parse(text) as readonly (readonly [id: string, name: string])[];
    return new Map(entries.map(([id, name]) => [String(id), String(name)]));
  } catch {
    return new Map();
  }
}
