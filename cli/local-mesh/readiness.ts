import { connect } from "node:net";
import { request } from "undici";
import type { Clock } from "../../common/base/clock.ts";

/** Undefined when ready, else why not yet. */
export type ReadyCheck = () => Promise<string | undefined>;

const pollMs = 40;

/** Asks a process's `/ready`. */
export function httpReady(port: number): ReadyCheck {
  return async () => {
    try {
      const { statusCode, body } = await request(`http://127.0.0.1:${port}/ready`, {
        headersTimeout: 2000,
        bodyTimeout: 2000,
      });
      const text = (await body.text()).trim();
      return statusCode === 200 ? undefined : text || `answers ${statusCode}`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
}

/** Whether something listens at a loopback port. */
export function portOpen(port: number): ReadyCheck {
  return () =>
    new Promise((resolve) => {
      const socket = connect({ port, host: "127.0.0.1" });
      socket.once("connect", () => {
        socket.destroy();
        resolve(undefined);
      });
      socket.once("error", (error) => resolve(error.message));
    });
}

export interface WaitOptions {
  readonly clock: Clock;
  /** Ends the waiting; the promise then resolves to false. */
  readonly signal: AbortSignal;
  /** Called once when it takes longer than `slowMs`, with the last reason. */
  readonly whenSlow: (why: string) => void;
  readonly slowMs: number;
}

/** Waits until `check` is content, however long that takes. False when it was given up. */
export async function waitReady(check: ReadyCheck, options: WaitOptions): Promise<boolean> {
  const { clock, signal, whenSlow, slowMs } = options;
  const start = clock.monotonic();
  let hasTold = false;
  while (!signal.aborted) {
    const why = await check();
    if (why === undefined) return true;
    if (!hasTold && clock.monotonic() - start > slowMs) {
      hasTold = true;
      whenSlow(why);
    }
    await pause(clock, signal);
  }
  return false;
}

/** Ends with the signal too: while everything stops, no timer keeps the launcher running until this one has come. */
function pause(clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const cancel = clock.after(pollMs, end);
    signal.addEventListener("abort", end, { once: true });
  });
}
