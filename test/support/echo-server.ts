import type { IncomingMessage, RequestListener, Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** A plain node:http server that says who it is in `x-served-by`. */
export interface EchoServer {
  readonly name: string;
  readonly port: number;
  readonly server: Server;
  /** Requests that arrived. */
  readonly requests: number;
  readonly last: IncomingMessage | undefined;
  stop(): Promise<void>;
}

/** Starts one on a free loopback port; `handle` replaces the answer (the request's headers as JSON). */
export async function startEcho(name: string, handle?: RequestListener): Promise<EchoServer> {
  let requests = 0;
  let last: IncomingMessage | undefined;
  const server = createServer((request, response) => {
    requests++;
    last = request;
    response.setHeader("x-served-by", name);
    if (handle !== undefined) handle(request, response);
    else {
      request.resume();
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ url: request.url, method: request.method, headers: request.headers }));
    }
  });
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    name,
    server,
    port: (server.address() as AddressInfo).port,
    get requests() {
      return requests;
    },
    get last() {
      return last;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
