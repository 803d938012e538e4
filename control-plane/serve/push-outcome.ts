import type { ProxyNode } from "../../common/model/node.ts";
import type { ResourceKind } from "../../common/xds/type-url.ts";
import { resourceKinds } from "../../common/xds/type-url.ts";
import type { ProxySession, Push } from "./session.ts";

/** How a push ended: every proxy that was connected and subscribed when it began has answered all of it, or is gone. */
export interface PushOutcome {
  readonly version: string;
  /** ms from the push to the last answer. */
  readonly durationMs: number;
  readonly proxies: readonly ProxyOutcome[];
}

export interface ProxyOutcome {
  readonly node: ProxyNode;
  /**
   * `refused`: it runs everything but the named resources, of which it keeps the last good version. `silent`: it is
   * connected and has not answered while very many newer pushes came.
   */
  readonly result: "accepted" | "refused" | "disconnected" | "silent";
  readonly refusals: readonly Refusal[];
}

export interface Refusal {
  readonly kind: ResourceKind;
  readonly names: readonly string[];
  /** As the proxy said it. */
  readonly why: string;
}

interface OpenPush {
  readonly push: Push;
  readonly startedAt: number;
  readonly waiting: Set<ProxySession>;
  readonly proxies: ProxyOutcome[];
}

/** How many finished pushes can still be asked for, and how many unfinished ones are followed. */
export const rememberedPushes = 100;

/** Follows pushes until every proxy has answered, and tells those who wait for one. */
export class PushOutcomes {
  readonly #open = new Set<OpenPush>();
  readonly #done = new Map<string, PushOutcome>();
  readonly #waiters = new Map<string, ((outcome: PushOutcome) => void)[]>();
  readonly #onDone: (outcome: PushOutcome) => void;

  constructor(onDone: (outcome: PushOutcome) => void) {
    this.#onDone = onDone;
  }

  /** `now`: monotonic ms, here and below. */
  begin(push: Push, sessions: Iterable<ProxySession>, now: number): void {
    const open = { push, startedAt: now, waiting: new Set(sessions), proxies: [] };
    this.#open.add(open);
    this.#finishIfDone(open, now);
    for (const oldest of this.#open) {
      if (this.#open.size <= rememberedPushes) break;
      this.#giveUp(oldest, now);
    }
  }

  /** A proxy that is in step with a later push is so with the earlier ones that were merged into it. */
  settled(session: ProxySession, now: number): void {
    for (const open of this.#open) {
      if (!open.waiting.has(session) || (session.settledPush?.sequence ?? -1) < open.push.sequence) continue;
      open.waiting.delete(session);
      const refusals = refusalsOf(session);
      const result = refusals.length > 0 ? "refused" : "accepted";
      open.proxies.push({ node: session.peer.node, result, refusals });
      this.#finishIfDone(open, now);
    }
  }

  disconnected(session: ProxySession, now: number): void {
    for (const open of this.#open) {
      if (!open.waiting.delete(session)) continue;
      open.proxies.push({ node: session.peer.node, result: "disconnected", refusals: [] });
      this.#finishIfDone(open, now);
    }
  }

  /** Resolves at once when that push has ended, else when it ends; also for a version that is yet to be pushed. */
  whenDone(version: string): Promise<PushOutcome> {
    const done = this.#done.get(version);
    if (done) return Promise.resolve(done);
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(version) ?? [];
      this.#waiters.set(version, [...waiters, resolve]);
    });
  }

  /** A proxy that hangs must not make the control plane remember every push since. */
  #giveUp(open: OpenPush, now: number): void {
    for (const session of open.waiting) {
      open.proxies.push({ node: session.peer.node, result: "silent", refusals: [] });
    }
    open.waiting.clear();
    this.#finishIfDone(open, now);
  }

  #finishIfDone(open: OpenPush, now: number): void {
    if (open.waiting.size > 0) return;
    this.#open.delete(open);
    const { version } = open.push;
    const outcome = { version, durationMs: now - open.startedAt, proxies: open.proxies };
    this.#done.delete(version);
    this.#done.set(version, outcome);
    for (const oldest of this.#done.keys()) {
      if (this.#done.size <= rememberedPushes) break;
      this.#done.delete(oldest);
    }
    const waiters = this.#waiters.get(version) ?? [];
    this.#waiters.delete(version);
    for (const resolve of waiters) resolve(outcome);
    this.#onDone(outcome);
  }
}

function refusalsOf(session: ProxySession): Refusal[] {
  return resourceKinds.flatMap((kind) => {
    const { refused, lastNack } = session.delivery(kind);
    return refused.size > 0 ? [{ kind, names: [...refused.keys()], why: lastNack?.why ?? "" }] : [];
  });
}
