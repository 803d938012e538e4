import type { Problem } from "../../common/base/problem.ts";
import type { Listener } from "../../common/model/listener.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import type { OpenListenerParts, ServiceFor, TakesOver } from "./open-listener.ts";
import { OpenListener } from "./open-listener.ts";
import type { OpenPort } from "./open-port.ts";

export interface ListenerSetParts extends Omit<OpenListenerParts, "listenerAt"> {
  /** ms that a listener that was removed or moved lets its requests finish. */
  readonly drainMs: number;
  /** Composes the stack that answers the requests of a chain. */
  readonly serviceFor: ServiceFor;
  /** Makes what answers DNS questions; absent: listeners for these can't be opened. */
  readonly openDns?: ((listener: Listener) => OpenPort) | undefined;
}

/** The listeners that are open. What config adds is opened before what it takes away is closed. */
export class ListenerSet {
  readonly #parts: ListenerSetParts;
  readonly #open = new Map<string, OpenPort>();
  readonly #draining = new Set<OpenPort>();
  #isLeaving = false;

  constructor(parts: ListenerSetParts) {
    this.#parts = parts;
  }

  *[Symbol.iterator](): IterableIterator<OpenPort> {
    yield* this.#open.values();
  }

  get(name: string): OpenPort | undefined {
    return this.#open.get(name);
  }

  get connections(): number {
    let count = 0;
    for (const { connections } of [...this.#open.values(), ...this.#draining]) count += connections;
    return count;
  }

  isListeningOn(port: number): boolean {
    for (const open of this.#open.values()) if (open.port === port) return true;
    return false;
  }

  /**
   * Opens what is new, moves what has another address, gives the others their new service, and drains what was removed. Answers with what
   * could not be opened; a listener that could not move stays where it was.
   */
  async apply(
    changed: readonly Listener[],
    removed: readonly string[],
  ): Promise<ReadonlyMap<string, readonly Problem[]>> {
    // Who leaves opens nothing any more; its config dies with it.
    if (this.#isLeaving) return new Map();
    // First, so that a new listener can have the port of one that goes.
    for (const name of removed) this.#retire(name);
    const problems = new Map<string, readonly Problem[]>();
    await Promise.all(
      changed.map(async (listener) => {
        const found = await this.#applyOne(listener);
        if (found !== undefined) problems.set(listener.name, [found]);
      }),
    );
    return problems;
  }

  /** Opens nothing any more and lets all connections finish, those of listeners taken away earlier included. */
  async drain(idleGraceMs: number, limitMs: number): Promise<void> {
    this.#isLeaving = true;
    await Promise.all(
      [...this.#open.values(), ...this.#draining].map((open) => open.drain(idleGraceMs, limitMs)),
    );
  }

  stop(): void {
    this.#isLeaving = true;
    for (const open of [...this.#open.values(), ...this.#draining]) open.stop();
    this.#open.clear();
  }

  async #applyOne(listener: Listener): Promise<Problem | undefined> {
    const known = this.#open.get(listener.name);
    const stays = known !== undefined && sameAddress(known.listener, listener);
    if (listener.dns !== undefined && this.#parts.openDns === undefined)
      return { path: "dns", why: "this proxy answers no DNS questions", hint: "run it with --capture" };
    const opening = stays ? known : this.#create(listener);
    await opening.configure(listener, this.#parts.serviceFor);
    if (stays) return undefined;
    try {
      await opening.open();
    } catch (cause) {
      opening.stop();
      return { path: "address", why: (cause as Error).message };
    }
    if (this.#isLeaving) {
      opening.stop();
      return undefined;
    }
    this.#retire(listener.name);
    this.#open.set(listener.name, opening);
    return undefined;
  }

  #create(listener: Listener): OpenPort {
    const { openDns } = this.#parts;
    if (listener.dns !== undefined && openDns !== undefined) return openDns(listener);
    return new OpenListener(listener, {
      ...this.#parts,
      listenerAt: (address) => this.#at(address, listener),
    });
  }

  /** Only of its own direction: the app may be called on a port at which it calls others. */
  #at({ host, port }: SocketAddress, { direction }: Listener): TakesOver | undefined {
    let onEvery: TakesOver | undefined;
    for (const open of this.#open.values()) {
      const { listener } = open;
      if (listener.port !== port || listener.direction !== direction) continue;
      if (listener.usesOriginalDestination || !takesOver(open)) continue;
      if (listener.address === host) return open;
      if (listener.address === "0.0.0.0" || listener.address === "::") onEvery ??= open;
    }
    return onEvery;
  }

  #retire(name: string): void {
    const open = this.#open.get(name);
    if (open === undefined) return;
    this.#open.delete(name);
    this.#draining.add(open);
    const { drainMs } = this.#parts;
    void open.drain(Math.min(idleGraceMs, drainMs), drainMs).then(() => this.#draining.delete(open));
  }
}

/** How long a connection without a request is kept for one that may be on its way when draining begins. */
export const idleGraceMs = 1_000;

function takesOver(open: OpenPort): open is OpenPort & TakesOver {
  return open.takeOver !== undefined;
}

function sameAddress(one: Listener, other: Listener): boolean {
  if ((one.dns === undefined) !== (other.dns === undefined)) return false;
  return one.address === other.address && one.port === other.port && one.bindsPort === other.bindsPort;
}
