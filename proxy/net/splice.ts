import type { Socket } from "node:net";
import { paceOf, passPaced } from "./pace.ts";
import { breakOff } from "./reset.ts";

/** Two sockets whose bytes go to each other, until both directions have ended. */
export interface Splice {
  /** Ends both now. */
  destroy(): void;
}

export interface SpliceWatcher {
  /** Bytes were read from the first socket. */
  fromFirst(bytes: number): void;
  fromSecond(bytes: number): void;
  /** Both are closed. */
  closed(): void;
}

/**
 * Passes the bytes of each socket to the other as they come, no faster than they are taken, and each one's end too, so that a
 * half-closed connection stays useful. When one breaks, both end. Both sockets were opened with allowHalfOpen.
 */
export function splice(one: Socket, other: Socket, watcher: SpliceWatcher): Splice {
  let open = 2;
  const destroy = (): void => {
    one.destroy();
    other.destroy();
  };
  const closed = (): void => {
    open--;
    if (open === 0) watcher.closed();
  };
  const pace = paceOf(one) ?? paceOf(other);
  const pass = (from: Socket, to: Socket, count: (bytes: number) => void): void => {
    if (pace !== undefined) passPaced(from, to, pace, count);
    else {
      from.on("data", (chunk: Buffer) => {
        count(chunk.length);
        if (!to.write(chunk)) from.pause();
      });
      to.on("drain", () => from.resume());
      from.on("end", () => to.end());
    }
    from.on("error", destroy);
    from.on("close", (hadError: boolean) => {
      // Without an error both directions have ended, and what was written may still be on its way to the other side.
      if (hadError || !from.readableEnded) breakOff(to, from);
      closed();
    });
    // What happened before says nothing any more.
    if (from.readableEnded) to.end();
    if (from.destroyed) to.destroy();
    if (from.closed) queueMicrotask(closed);
  };
  pass(one, other, (bytes) => watcher.fromFirst(bytes));
  pass(other, one, (bytes) => watcher.fromSecond(bytes));
  one.resume();
  other.resume();
  return { destroy };
}
