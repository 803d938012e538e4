import { EventEmitter } from "node:events";
import Opossum from "opossum";
import type { Clock } from "../../common/base/clock.ts";
import type { CircuitBreakerPolicy } from "../../common/model/circuit-breaker.ts";
import type { MeshError } from "../errors.ts";
import { meshError, toMeshError } from "../errors.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { grpcStatusName, isGrpc } from "../http/grpc-status.ts";
import type { Service } from "../http/layer.ts";
import { LastGoodResponses } from "./last-good-responses.ts";

export type CircuitState = "closed" | "open" | "half-open";

/** What a call came to that counts as failed: an answer, or none. */
export class FailedCall {
  readonly response: Response | undefined;
  readonly error: MeshError | undefined;

  constructor(response: Response | undefined, error: MeshError | undefined) {
    this.response = response;
    this.error = error;
  }
}

/**
 * Whether calls to one destination may go. opossum counts calls in a rolling window and says when to open; when to try again is
 * ours, because its timers run on the machine's clock and it admits one probe only. There is no timer: the window moves on and the
 * time to probe comes when somebody calls or looks.
 */
export class Circuit {
  readonly policy: CircuitBreakerPolicy;
  readonly cluster: string;
  /** Present when the fallback is the last good response. */
  readonly lastGood: LastGoodResponses | undefined;
  readonly transitions: Record<CircuitState, number> = { closed: 0, open: 0, "half-open": 0 };
  shortCircuited = 0;
  fallbacks = 0;

  readonly #clock: Clock;
  readonly #fails: ReadonlySet<string>;
  readonly #breaker: Opossum<[Service, Exchange], Response>;
  readonly #window = new EventEmitter();
  readonly #slotMs: number;
  #slot: number;
  #slow: { calls: number; slow: number }[] = emptyWindow();
  readonly #answeredAt = new WeakMap<Exchange, number>();
  #openedAt = 0;
  /** Grows with each opening, so that a probe of an earlier one that ends late changes nothing. */
  #opening = 0;
  #isProbing = false;
  #probesUnderWay = 0;
  #probesPassed = 0;

  constructor(policy: CircuitBreakerPolicy, cluster: string, clock: Clock) {
    this.policy = policy;
    this.cluster = cluster;
    this.#clock = clock;
    this.#fails = new Set(policy.errors);
    this.#slotMs = Math.max(1, policy.windowMs / slots);
    this.#slot = this.#currentSlot();
    if (policy.fallback?.kind === "last-good-response")
      this.lastGood = new LastGoodResponses(policy.fallback, clock);
    this.#breaker = new Opossum((send, exchange) => this.#callWhileClosed(send, exchange), {
      name: policy.name,
      timeout: false,
      // It opens above its threshold; we say "at".
      errorThresholdPercentage: policy.errorRate * 100 - 1e-9,
      volumeThreshold: policy.volumeThreshold,
      // As long as a timer can be: the time to probe is ours.
      resetTimeout: 2_147_483_647,
      rollingCountTimeout: policy.windowMs,
      rollingCountBuckets: slots,
      rotateBucketController: this.#window,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      errorFilter: (thrown: unknown) => !(thrown instanceof FailedCall),
    });
    this.#breaker.on("open", () => this.#opened());
  }

  get state(): CircuitState {
    if (this.#breaker.closed || this.#breaker.isShutdown) return "closed";
    return this.#isProbing || this.#mayProbe() ? "half-open" : "open";
  }

  /**
   * Calls when it may. Rejects with `circuit_open` when it may not, with a FailedCall when the call failed, and with what the
   * call rejected with when that is nobody's failure, such as a client that went away.
   */
  run(send: Service, exchange: Exchange): Promise<Response> {
    // Replaced by one with another policy: the routes that still have it are about to go.
    if (this.#breaker.isShutdown) return send(exchange);
    if (!isGrpc(exchange)) return this.#run(send, exchange);
    // The answer goes on as it comes; how the call went is known at its end.
    return new Promise((resolve, reject) => {
      this.#run(this.#judgedByTrailers(send, resolve), exchange).then(resolve, reject);
    });
  }

  #run(send: Service, exchange: Exchange): Promise<Response> {
    this.#moveWindow();
    if (this.#breaker.closed) return this.#breaker.fire(send, exchange);
    if (!this.#mayProbe() || this.#probesUnderWay + this.#probesPassed >= this.policy.probes) {
      this.shortCircuited++;
      return Promise.reject(meshError("circuit_open", "circuit_breaker_open"));
    }
    return this.#probe(send, exchange);
  }

  /** Ends its bookkeeping; calls that still come pass through. */
  stop(): void {
    this.#breaker.shutdown();
  }

  /** Hands an answer on at once when only its trailers will say how it went, and ends with them, or when the window is over. */
  #judgedByTrailers(send: Service, deliver: (response: Response) => void): Service {
    return async (exchange) => {
      const response = await send(exchange);
      const { status, headers } = response;
      if (status !== 200 || headers.has("grpc-status") || !this.#fails.has("5xx")) return response;
      this.#answeredAt.set(exchange, this.#clock.monotonic());
      deliver(response);
      await new Promise<void>((resolve) => {
        const stop = this.#clock.after(this.policy.windowMs, resolve);
        exchange.onFinish(() => {
          stop();
          resolve();
        });
      });
      const { grpcStatus } = exchange;
      if (grpcStatus !== undefined && grpcFailures.has(grpcStatusName(grpcStatus)))
        throw new FailedCall(response, undefined);
      return response;
    };
  }

  #mayProbe(): boolean {
    return this.#clock.monotonic() - this.#openedAt >= this.policy.resetMs;
  }

  #callWhileClosed(send: Service, exchange: Exchange): Promise<Response> {
    const { slowCalls } = this.policy;
    if (slowCalls === undefined) return this.#call(send, exchange);
    const startedAt = this.#clock.monotonic();
    const count = () => this.#countDuration(this.#answerTime(exchange) - startedAt);
    return this.#call(send, exchange).then(
      (response) => {
        count();
        return response;
      },
      (thrown) => {
        if (thrown instanceof FailedCall) count();
        throw thrown;
      },
    );
  }

  /** When the response headers came, for a call whose outcome was known later; else now. */
  #answerTime(exchange: Exchange): number {
    return this.#answeredAt.get(exchange) ?? this.#clock.monotonic();
  }

  #countDuration(ms: number): void {
    const { slowCalls, volumeThreshold } = this.policy;
    const current = this.#slow[0]!;
    current.calls++;
    if (ms < slowCalls!.durationMs) return;
    current.slow++;
    let calls = 0;
    let slow = 0;
    for (const slot of this.#slow) {
      calls += slot.calls;
      slow += slot.slow;
    }
    if (calls >= volumeThreshold && slow / calls >= slowCalls!.rate && this.#breaker.closed)
      this.#breaker.open();
  }

  #probe(send: Service, exchange: Exchange): Promise<Response> {
    const opening = this.#opening;
    const startedAt = this.#clock.monotonic();
    if (!this.#isProbing) {
      this.#isProbing = true;
      this.transitions["half-open"]++;
    }
    this.#probesUnderWay++;
    const judge = (hasPassed: boolean | undefined) => {
      if (opening !== this.#opening) return;
      this.#probesUnderWay--;
      if (hasPassed === undefined) return;
      const slowMs = this.policy.slowCalls?.durationMs ?? Number.POSITIVE_INFINITY;
      const isFast = this.#answerTime(exchange) - startedAt < slowMs;
      if (!hasPassed || !isFast) this.#opened();
      else if (++this.#probesPassed >= this.policy.probes) this.#close();
    };
    return this.#call(send, exchange).then(
      (response) => {
        judge(true);
        return response;
      },
      (thrown) => {
        judge(thrown instanceof FailedCall ? false : undefined);
        throw thrown;
      },
    );
  }

  #call(send: Service, exchange: Exchange): Promise<Response> {
    return send(exchange).then(
      (response) => {
        if (this.#isFailure(response)) throw new FailedCall(response, undefined);
        return response;
      },
      (thrown) => {
        if (thrown instanceof FailedCall) throw thrown;
        const error = toMeshError(thrown);
        throw this.#fails.has(failureOf(error)) ? new FailedCall(undefined, error) : error;
      },
    );
  }

  #isFailure({ status, headers }: Response): boolean {
    if (status >= 500 && this.#fails.has("5xx")) return true;
    if (this.#fails.has(String(status))) return true;
    if (status !== 200 || !this.#fails.has("5xx")) return false;
    // A gRPC answer without a message says its status here; see `#judgedByTrailers` for others.
    const grpcStatus = headers.get("grpc-status");
    return grpcStatus !== undefined && grpcFailures.has(grpcStatusName(grpcStatus));
  }

  /** Opens it, also anew when a probe failed. */
  #opened(): void {
    this.#opening++;
    this.#openedAt = this.#clock.monotonic();
    this.#forgetProbes();
    this.transitions.open++;
  }

  #close(): void {
    this.#forgetProbes();
    // What was counted before it opened says nothing of now.
    for (let slot = 0; slot < slots; slot++) this.#window.emit("rotate");
    this.#slow = emptyWindow();
    this.#breaker.close();
    this.transitions.closed++;
  }

  #forgetProbes(): void {
    this.#isProbing = false;
    this.#probesUnderWay = 0;
    this.#probesPassed = 0;
  }

  #moveWindow(): void {
    const now = this.#currentSlot();
    const steps = Math.min(now - this.#slot, slots);
    if (steps <= 0) return;
    this.#slot = now;
    // It keeps every duration of the window, which nobody reads.
    this.#breaker.status.window[0]!.latencyTimes.length = 0;
    for (let step = 0; step < steps; step++) {
      this.#window.emit("rotate");
      this.#slow.pop();
      this.#slow.unshift({ calls: 0, slow: 0 });
    }
  }

  #currentSlot(): number {
    return Math.floor(this.#clock.monotonic() / this.#slotMs);
  }
}

/** Parts of the window; calls leave it a part at a time. */
const slots = 10;

function emptyWindow(): { calls: number; slow: number }[] {
  return Array.from({ length: slots }, () => ({ calls: 0, slow: 0 }));
}

/** Those that a server would have said with a 5xx over HTTP. */
const grpcFailures: ReadonlySet<string> = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

/** The policy's word for a failure; "" for what is not the destination's. */
function failureOf({ code }: MeshError): string {
  switch (code) {
    case "connect_refused":
    case "connect_failed":
    case "connect_timeout":
    case "reset_before_request":
    case "no_healthy_upstream":
    case "no_cluster":
      return "connect-failure";
    case "upstream_reset":
    case "upstream_protocol_error":
      return "reset";
    case "request_timeout":
    case "per_try_timeout":
    case "upstream_idle_timeout":
      return "timeout";
    default:
      return "";
  }
}
