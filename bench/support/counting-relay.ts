import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";

/** Passes connections on to a port of 127.0.0.1 and counts what comes back. */
export interface CountingRelay {
  readonly port: number;
  /** Bytes from there so far, all connections together. */
  readonly bytes: number;
  stop(): Promise<void>;
}

export async function startCountingRelay(to: number): Promise<CountingRelay> {
  let bytes = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(to, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket.setNoDelay(true));
      socket
        .on("error", () => {})
        .on("close", () => {
          client.destroy();
          upstream.destroy();
          sockets.delete(socket);
        });
    }
    upstream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    upstream.pipe(client);
    client.pipe(upstream);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    get bytes() {
      return bytes;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
