import type { Socket } from "node:net";

/** Two sockets whose bytes go to each other, until both directions have ended. */
export interface Splice {
  /** Ends both now. */
  destroy(): void;
}

/**
 * Passes the bytes of each socket to the other as they come, no faster than they are taken, and each one's end too, so that a
 * half-closed connection stays useful. When one breaks, both end. Both sockets were opened with allowHalfOpen.
 */
export function splice(one: Socket, other: Socket, onClose: () => void): Splice {
  let open = 2;
  const destroy = (): void => {
    one.destroy();
    other.destroy();
  };
  const closed = (): void => {
    open--;
    if (open === 0) onClose();
  };
  const pass = (from: Socket, to: Socket): void => {
    from.on("data", (chunk: Buffer) => {
      if (!to.write(chunk)) from.pause();
    });
    to.on("drain", () => from.resume());
    from.on("end", () => to.end());
    from.on("error", destroy);
    from.on("close", (hadError: boolean) => {
      // Without an error both directions have ended, and what was written may still be on its way to the other side.
      if (hadError || !from.readableEnded) to.destroy();
      closed();
    });
    if (from.destroyed) to.destroy();
  };
  pass(one, other);
  pass(other, one);
  one.resume();
  other.resume();
  return { destroy };
}
