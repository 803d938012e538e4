import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import type { Clock } from "../../common/base/clock.ts";
import { systemClock } from "../../common/base/clock.ts";
import type { ClientConnection } from "../../proxy/http/client-connection.ts";
import type { Exchange } from "../../proxy/http/exchange.ts";
import type { HttpServerSettings } from "../../proxy/http/http-server.ts";
import { defaultHttpServerSettings } from "../../proxy/http/http-server.ts";
import { connectHttp1 } from "../../proxy/http/http1/client.ts";
import { serveHttp1 } from "../../proxy/http/http1/server.ts";
import type { Service } from "../../proxy/http/layer.ts";
import type { HttpServerConnection } from "../../proxy/http/server-connection.ts";
import { listen } from "../../proxy/net/listen.ts";

export interface ChainOptions {
  readonly settings?: Partial<HttpServerSettings>;
  /** Instead of sending upstream. */
  readonly service?: Service;
  readonly clock?: Clock;
  /** Instead of the scripted upstream. */
  readonly upstreamPort?: number;
}

/** The shortest possible proxy: listener → serveHttp1 → idle connections → connectHttp1 → an upstream that the test scripts. */
export class Chain implements AsyncDisposable {
  readonly upstream: RawUpstream;
  /** Every request that became an exchange, and every one that was rejected before. */
  readonly exchanges: Exchange[] = [];
  readonly rejected: Exchange[] = [];
  readonly connections: HttpServerConnection[] = [];
  readonly #idle: ClientConnection[] = [];
  readonly #clients = new Set<RawClient>();
  #close: () => Promise<void> = async () => {};
  port = 0;

  private constructor(upstream: RawUpstream) {
    this.upstream = upstream;
  }

  static async start(answer: Answer, options: ChainOptions = {}): Promise<Chain> {
    const chain = new Chain(await RawUpstream.start(answer));
    const clock = options.clock ?? systemClock;
    const target = { host: "127.0.0.1", port: options.upstreamPort ?? chain.upstream.port, timeoutMs: 5_000 };
    const forward: Service = async (exchange) => {
      let connection = chain.#idle.pop();
      while (connection !== undefined && connection.capacity === 0) connection = chain.#idle.pop();
      if (connection === undefined) {
        const fresh = await connectHttp1(target, clock);
        fresh.onAvailable = () => chain.#idle.push(fresh);
        connection = fresh;
      }
      return connection.send(exchange);
    };
    const service = options.service ?? forward;
    const listener = await listen({ host: "127.0.0.1", port: 0 }, (socket) => {
      const downstream = {
        remote: { host: "127.0.0.1", port: socket.remotePort ?? 0 },
        local: { host: "127.0.0.1", port: chain.port },
        listener: "test",
        scheme: "http",
      } as const;
      const settings = { ...defaultHttpServerSettings, ...options.settings };
      const connection = serveHttp1(
        socket,
        { settings, clock, downstream, onRejected: (exchange) => chain.rejected.push(exchange) },
        (exchange) => {
          chain.exchanges.push(exchange);
          return service(exchange);
        },
      );
      chain.connections.push(connection);
    });
    chain.port = listener.address.port;
    chain.#close = listener.close;
    return chain;
  }

  async client(): Promise<RawClient> {
    const client = await RawClient.connect(this.port);
    this.#clients.add(client);
    return client;
  }

  /** Sends `bytes` on a new connection and gives everything that came back until the server closed. */
  async converse(bytes: string | Buffer): Promise<string> {
    const client = await this.client();
    client.send(bytes);
    return client.untilClosed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.socket.destroy();
    for (const connection of this.connections) connection.destroy();
    for (const connection of this.#idle) connection.destroy();
    await this.#close();
    await this.upstream.close();
  }
}

/** A TCP client that says exactly what it is told. */
export class RawClient {
  readonly socket: Socket;
  received = "";
  #isClosed = false;
  #changed: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.received += chunk.toString("latin1");
      this.#changed();
    });
    socket.on("error", () => {});
    for (const event of ["end", "close"] as const) {
      socket.on(event, () => {
        this.#isClosed = true;
        this.#changed();
      });
    }
  }

  static connect(port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new RawClient(socket)));
    });
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** Waits until what was received contains `text`. Rejects when the server closes before. */
  async until(text: string): Promise<string> {
    await this.#when(() => this.received.includes(text) || this.#isClosed);
    if (!this.received.includes(text)) throw new Error(`closed before "${text}": ${this.received}`);
    return this.received;
  }

  async untilClosed(): Promise<string> {
    await this.#when(() => this.#isClosed);
    this.socket.end();
    return this.received;
  }

  async #when(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}

/** What the upstream does with what it has received on one connection so far. */
export type Answer = (received: string, socket: Socket) => void;

/** A TCP server that answers as the test says and remembers every byte. */
export class RawUpstream {
  readonly sockets: Socket[] = [];
  /** All bytes, per connection. */
  readonly received: string[] = [];
  readonly #server: Server;
  #changed: () => void = () => {};

  private constructor(server: Server) {
    this.#server = server;
  }

  static start(answer: Answer): Promise<RawUpstream> {
    return new Promise((resolve) => {
      const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) =>
        upstream.#accept(socket, answer),
      );
      const upstream = new RawUpstream(server);
      server.listen(0, "127.0.0.1", () => resolve(upstream));
    });
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Every byte that any upstream connection received. */
  get allReceived(): string {
    return this.received.join("");
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket, answer: Answer): void {
    const index = this.sockets.push(socket) - 1;
    this.received.push("");
    let pending = "";
    socket.on("error", () => {});
    for (const event of ["end", "close"] as const) socket.on(event, () => this.#changed());
    socket.on("data", (chunk: Buffer) => {
      const text = chunk.toString("latin1");
      this.received[index] += text;
      pending += text;
      // Each head is answered once; bodies are told apart by the tests that send them.
      while (pending.includes("\r\n\r\n")) {
        const end = pending.indexOf("\r\n\r\n") + 4;
        const head = pending.slice(0, end);
        pending = pending.slice(end);
        answer(head, socket);
      }
      this.#changed();
    });
  }
}

/** Answers every request with 200 and the two octets "ok". */
export const answerOk: Answer = (_, socket) => {
  socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
};
