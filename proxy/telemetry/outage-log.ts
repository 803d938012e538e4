import type { Clock } from "../../common/base/clock.ts";
import type { Log } from "./log.ts";

/** An outage of this length, in ms, is worth a warning; a control plane that is started anew takes less. */
const warnAfterMs = 5000;

/** What is said of an outage: `lost` begins with "no" and may go on after a semicolon. */
export interface OutageWords {
  readonly lost: string;
  readonly back: string;
  readonly connected: string;
}

const controlPlaneWords: OutageWords = {
  lost: "no control plane; serving what is known",
  back: "connected to the control plane again",
  connected: "connected to the control plane",
};

/**
 * Says that the control plane went away and came back, calmly: one line when it goes, a warning when it stays away, one line
 * when it is back. Attempts in between are for debugging.
 */
export class OutageLog {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #words: OutageWords;
  #since: number | undefined;
  #hasWarned = false;

  constructor(log: Log, clock: Clock, words: OutageWords = controlPlaneWords) {
    this.#words = words;
    this.#log = log;
    this.#clock = clock;
  }

  /** `reason` is gRPC's; `retryMs` until the next attempt. */
  disconnected(server: string, reason: string, retryMs: number): void {
    const now = this.#clock.monotonic();
    const fields = {
      server,
      reason: reason.replace(/\s*Resolution note:\s*$/, ""),
      retryMs: Math.round(retryMs),
    };
    if (this.#since === undefined) {
      this.#since = now;
      this.#log.info(this.#words.lost, fields);
    } else if (!this.#hasWarned && now - this.#since >= warnAfterMs) {
      this.#hasWarned = true;
      const seconds = Math.round((now - this.#since) / 1000);
      this.#log.warn(this.#words.lost.replace(/;|$/, ` since ${seconds} s$&`), fields);
    } else {
      this.#log.debug(this.#words.lost.replace(/^no /, "still no ").replace(/;.*$/, ""), fields);
    }
  }

  connected(server: string): void {
    // Whoever reads only warnings must see the end of what was warned of.
    if (this.#hasWarned) this.#log.warn(this.#words.back, { server });
    else this.#log.info(this.#words.connected, { server });
    this.#since = undefined;
    this.#hasWarned = false;
  }
}
