import type { Socket } from "node:net";
import type { Clock } from "../../common/base/clock.ts";
import type { FirstBytes } from "./client-hello.ts";
import { readClientHello } from "./client-hello.ts";

export interface SniffOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Who says nothing in time is given up on and not cut off. */
  readonly mayBeSilent?: boolean;
  /** Reads what has arrived so far; default: tells TLS from the rest. */
  readonly read?: (bytes: Buffer) => FirstBytes;
}

/**
 * Waits for the first bytes of a connection and says what they are; they stay in the socket, which is paused. `found` is undefined when
 * the client went away, or sent too little in `timeoutMs`: then the socket is destroyed; and "given-up" after `giveUp`, or in place of
 * the time-out when it `mayBeSilent`.
 */
export class Sniffer {
  readonly found: Promise<FirstBytes | "given-up" | undefined>;
  /** Whether nobody had said enough when the time was up. */
  isTimedOut = false;
  /** Ends the wait: it is known by other means what the client speaks. Nothing happens when the wait is over. */
  giveUp: () => void = () => {};

  constructor(socket: Socket, options: SniffOptions) {
    const { clock, timeoutMs, mayBeSilent = false, read = readClientHello } = options;
    this.found = new Promise((resolve) => {
      const chunks: Buffer[] = [];
      let isOver = false;
      const settle = (found: FirstBytes | "given-up" | undefined): void => {
        if (isOver) return;
        isOver = true;
        cancelTimer();
        socket.off("data", onData);
        socket.off("error", onGone);
        socket.off("end", onGone);
        socket.off("close", onGone);
        if (found === undefined) {
          socket.on("error", () => {});
          socket.destroy();
        } else {
          socket.pause();
          if (chunks.length > 0) socket.unshift(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
        }
        resolve(found);
      };
      const onData = (chunk: Buffer): void => {
        chunks.push(chunk);
        const found = read(chunks.length === 1 ? chunk : Buffer.concat(chunks));
        if (found.kind !== "incomplete") settle(found);
      };
      const onGone = (): void => settle(undefined);
      const cancelTimer = clock.after(timeoutMs, () => {
        this.isTimedOut = true;
        settle(mayBeSilent ? "given-up" : undefined);
      });
      this.giveUp = () => settle("given-up");
      socket.on("data", onData);
      socket.on("error", onGone);
      socket.on("end", onGone);
      socket.on("close", onGone);
    });
  }
}
