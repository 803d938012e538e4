import type { Clock } from "../../../common/base/clock.ts";
import type { MeshError } from "../../errors.ts";
import { meshError } from "../../errors.ts";
import type { HttpServerSettings } from "../http-server.ts";
import { Deadline } from "./deadline.ts";

/** All time-outs of one downstream connection on one deadline. Times are monotonic ms. */
export class RequestTimeouts {
  readonly #settings: HttpServerSettings;
  readonly #clock: Clock;
  readonly #deadline: Deadline;
  /** When the request under way must have been read; Infinity without a limit. */
  #requestDeadline = Number.POSITIVE_INFINITY;

  constructor(settings: HttpServerSettings, clock: Clock, onExpire: () => void) {
    this.#settings = settings;
    this.#clock = clock;
    this.#deadline = new Deadline(clock, onExpire);
  }

  /** No request is under way. */
  awaitRequest(now: number): void {
    this.#requestDeadline = Number.POSITIVE_INFINITY;
    this.#deadline.set(now + this.#settings.keepAliveTimeoutMs, now);
  }

  /** A head has begun to arrive at `startedAt`. */
  awaitHead(startedAt: number, now: number): void {
    this.#deadline.set(startedAt + this.#settings.headerTimeoutMs, now);
  }

  /** A head is complete; it began to arrive at `startedAt`. */
  requestBegan(startedAt: number): void {
    const { requestTimeoutMs } = this.#settings;
    if (requestTimeoutMs > 0) this.#requestDeadline = startedAt + requestTimeoutMs;
    this.touch(startedAt);
  }

  requestCompleted(): void {
    this.#requestDeadline = Number.POSITIVE_INFINITY;
  }

  /** Bytes moved: the idle time-out starts again, within the limit for the whole request. */
  touch(now: number): void {
    const { idleTimeoutMs } = this.#settings;
    const idleAt = idleTimeoutMs === 0 ? Number.POSITIVE_INFINITY : now + idleTimeoutMs;
    this.#deadline.set(Math.min(idleAt, this.#requestDeadline), now);
  }

  /** Whatever was awaited, only `ms` are left for it. */
  within(ms: number, now: number): void {
    this.#requestDeadline = Number.POSITIVE_INFINITY;
    this.#deadline.set(now + ms, now);
  }

  /** Why an exchange under way timed out: the client is slow while its request is incomplete, after that the upstream is. */
  cause(isRequestComplete: boolean): MeshError {
    if (this.#requestDeadline <= this.#clock.monotonic() + 1) {
      return meshError("request_header_timeout", "request_overall_timeout");
    }
    return isRequestComplete
      ? meshError("upstream_idle_timeout", "stream_idle_timeout")
      : meshError("request_idle_timeout", "stream_idle_timeout");
  }

  stop(): void {
    this.#deadline.stop();
  }
}
