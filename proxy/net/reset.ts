import type { Socket } from "node:net";

const torn = new WeakSet<Socket>();

/** Resets a connection (RST) instead of ending it, and whatever its bytes were passed on to. A TLS connection just breaks off. */
export function tear(socket: Socket): void {
  torn.add(socket);
  reset(socket);
}

/** Ends what is left of a pair of connections whose other half, `from`, broke: as that one did. */
export function breakOff(socket: Socket, from: Socket): void {
  if (torn.has(from)) reset(socket);
  else socket.destroy();
}

function reset(socket: Socket): void {
  if ("encrypted" in socket) socket.destroy();
  else socket.resetAndDestroy();
}
