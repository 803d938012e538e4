import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { LeaseReply, LeaseReport, RuleDemand, RuleLease } from "../../common/xds/lease-service.ts";

/** A limit that proxies share, as it reports and is told. */
export interface SharedLimit {
  readonly rule: { readonly name: string };
  report(): RuleDemand;
  apply(lease: RuleLease, ttlMs: number): void;
  /** No lease will come for now. */
  stopWaiting(): void;
}

/** A stream of leases on a connection to a control plane. */
export interface LeaseCall {
  send(report: LeaseReport): void;
  close(): void;
}

export interface LeaseCallHandlers {
  onReply(reply: LeaseReply): void;
  /** The stream is over, for whatever reason. Called at most once. */
  onEnd(): void;
}

export type OpenLeaseCall = (handlers: LeaseCallHandlers) => LeaseCall;

export interface LeaseClientParts {
  /** `Node.id` */
  readonly proxy: string;
  readonly limits: () => Iterable<SharedLimit>;
  readonly clock: Clock;
}

/** A fifth of what a lease lasts. */
const reportEveryMs = 1_000;
/** ms; reports that cannot wait for the next one are gathered for so long. */
const soonMs = 20;
/** ms until a control plane that knows nothing of leases is asked again. */
const reopenMs = 10_000;

/**
 * Reports what shared limits need, on the connection that ADS has, and hands the shares on that come back. Opens nothing while there is
 * no such limit. What it can't reach shows in the limits: their leases run out, and each goes by its own part.
 */
export class LeaseClient {
  readonly #parts: LeaseClientParts;
  #open: OpenLeaseCall | undefined = undefined;
  #call: LeaseCall | undefined = undefined;
  #applied = 0;
  #mayOpenAt = 0;
  #cancelTick: CancelTimer | undefined = undefined;
  #cancelSoon: CancelTimer | undefined = undefined;

  constructor(parts: LeaseClientParts) {
    this.#parts = parts;
  }

  /** There is a connection to a control plane. */
  attach(open: OpenLeaseCall): void {
    this.detach();
    this.#open = open;
    this.#mayOpenAt = 0;
    this.#cancelTick = this.#parts.clock.every(reportEveryMs, () => this.#report());
    this.#report();
  }

  /** The connection is gone. */
  detach(): void {
    this.#open = undefined;
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    this.#cancelSoon?.();
    this.#cancelSoon = undefined;
    this.#call?.close();
    this.#ended();
  }

  /** Reports before its time, because somebody waits. */
  askSoon(): void {
    if (this.#open === undefined) {
      for (const limit of this.#parts.limits()) limit.stopWaiting();
      return;
    }
    this.#cancelSoon ??= this.#parts.clock.after(soonMs, () => {
      this.#cancelSoon = undefined;
      this.#report();
    });
  }

  #report(): void {
    const { clock, limits, proxy } = this.#parts;
    const rules = Array.from(limits(), (limit) => limit.report());
    if (rules.length === 0 && this.#call === undefined) return;
    if (this.#call === undefined && clock.monotonic() >= this.#mayOpenAt) this.#openCall();
    this.#call?.send({ proxy, applied: this.#applied, rules });
  }

  #openCall(): void {
    this.#applied = 0;
    let isOver = false;
    const call = this.#open?.({
      onReply: (reply) => {
        if (!isOver) this.#apply(reply);
      },
      onEnd: () => {
        isOver = true;
        this.#ended();
      },
    });
    if (!isOver) this.#call = call;
  }

  #apply({ version, ttlMs, rules }: LeaseReply): void {
    const leases = new Map(rules.map((lease) => [lease.rule, lease]));
    for (const limit of this.#parts.limits()) {
      const lease = leases.get(limit.rule.name);
      if (lease !== undefined) limit.apply(lease, ttlMs);
    }
    this.#applied = version;
  }

  #ended(): void {
    this.#call = undefined;
    this.#mayOpenAt = this.#parts.clock.monotonic() + reopenMs;
    for (const limit of this.#parts.limits()) limit.stopWaiting();
  }
}
