import type { Socket } from "node:net";
import type { CancelTimer, Clock } from "../../common/base/clock.ts";

/** How fast the bytes of a connection may pass, each way for itself. */
export interface Pace {
  readonly bytesPerSecond: number;
  readonly clock: Clock;
}

/** Bytes are let through so often, in even portions. */
const stepMs = 1000 / 16;

const paces = new WeakMap<Socket, Pace>();

/** Says how fast a connection is to be; whoever passes its bytes on asks `paceOf`. */
export function setPace(socket: Socket, pace: Pace): void {
  paces.set(socket, pace);
}

/** Undefined when the connection is as fast as it can be. */
export function paceOf(socket: Socket): Pace | undefined {
  return paces.get(socket);
}

/**
 * Passes what `from` sends to `to`, and its end, at a pace. What may not go yet is held and `from` is paused, so it is at most the
 * bytes of one read.
 */
export function passPaced(
  from: Socket,
  to: Socket,
  { bytesPerSecond, clock }: Pace,
  count: (bytes: number) => void,
): void {
  const portion = Math.max(1, Math.floor((bytesPerSecond * stepMs) / 1000));
  let held: Buffer | undefined;
  let hasEnded = false;
  let isFull = false;
  let cancelStep: CancelTimer | undefined;
  const goOn = (): void => {
    if (isFull || cancelStep !== undefined) return;
    if (held === undefined) {
      if (hasEnded) to.end();
      else from.resume();
      return;
    }
    const part = held.subarray(0, portion);
    held = part.length === held.length ? undefined : held.subarray(part.length);
    isFull = !to.write(part);
    cancelStep = clock.after(stepMs, () => {
      cancelStep = undefined;
      goOn();
    });
  };
  from.on("data", (chunk: Buffer) => {
    from.pause();
    count(chunk.length);
    held = held === undefined ? chunk : Buffer.concat([held, chunk]);
    goOn();
  });
  to.on("drain", () => {
    isFull = false;
    goOn();
  });
  from.on("end", () => {
    hasEnded = true;
    goOn();
  });
  to.on("close", () => {
    cancelStep?.();
    // Nobody is there any more to take what is held.
    isFull = true;
    held = undefined;
  });
}
