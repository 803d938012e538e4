import type { Socket } from "node:net";
import type { Clock } from "../../common/base/clock.ts";
import type { FirstBytes } from "./client-hello.ts";
import { readClientHello } from "./client-hello.ts";

/**
 * Waits for the first bytes of a connection and says what they are; they stay in the socket, which is paused. Undefined when the
 * client went away, or sent too little in `timeoutMs`: then the socket is destroyed.
 */
export function sniff(socket: Socket, clock: Clock, timeoutMs: number): Promise<FirstBytes | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const settle = (found: FirstBytes | undefined): void => {
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
        socket.unshift(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
      }
      resolve(found);
    };
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      const found = readClientHello(chunks.length === 1 ? chunk : Buffer.concat(chunks));
      if (found.kind !== "incomplete") settle(found);
    };
    const onGone = (): void => settle(undefined);
    const cancelTimer = clock.after(timeoutMs, onGone);
    socket.on("data", onData);
    socket.on("error", onGone);
    socket.on("end", onGone);
    socket.on("close", onGone);
  });
}
