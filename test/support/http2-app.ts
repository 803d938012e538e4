import { once } from "node:events";
import type {
  ClientHttp2Session,
  Http2ServerRequest,
  Http2ServerResponse,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  ServerHttp2Session,
} from "node:http2";
import { connect, createServer } from "node:http2";
import type { AddressInfo } from "node:net";

/** Node's own HTTP/2, in plain text with prior knowledge, as the other end of ours. */
export interface Http2App {
  readonly port: number;
  /** Connections that are open now, and since the beginning. */
  readonly sessions: ReadonlySet<ServerHttp2Session>;
  opened: number;
  requests: number;
  stop(): Promise<void>;
}

export async function startHttp2App(
  handle: (request: Http2ServerRequest, response: Http2ServerResponse) => void,
  settings: { readonly maxConcurrentStreams?: number; readonly enableConnectProtocol?: boolean } = {},
): Promise<Http2App> {
  const sessions = new Set<ServerHttp2Session>();
  const app = { sessions, opened: 0, requests: 0 };
  const server = createServer({ settings }, (request, response) => {
    app.requests++;
    handle(request, response);
  });
  server.on("session", (session) => {
    app.opened++;
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(app, {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      for (const session of sessions) session.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  });
}

export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly informational: readonly number[];
  readonly octets: number;
  readonly text: string;
}

/** A client connection of Node's. */
export class Http2Caller {
  readonly session: ClientHttp2Session;

  constructor(port: number, host: string = "127.0.0.1") {
    this.session = connect(`http://${host}:${port}`);
    this.session.on("error", () => {});
  }

  /** Rejects when the stream is reset. */
  async ask(headers: OutgoingHttpHeaders, body?: string | Buffer): Promise<Http2Answer> {
    const stream = this.session.request(headers, { endStream: body === undefined });
    const failed = once(stream, "error").then(([error]) => Promise.reject(error as Error));
    failed.catch(() => {});
    const informational: number[] = [];
    stream.on("headers", (interim) => informational.push(interim[":status"] ?? 0));
    let trailers: IncomingHttpHeaders = {};
    stream.on("trailers", (fields) => {
      trailers = fields;
    });
    if (body !== undefined) stream.end(body);
    const [head] = (await Promise.race([once(stream, "response"), failed])) as [IncomingHttpHeaders];
    let [octets, text] = [0, ""];
    stream.on("data", (chunk: Buffer) => {
      octets += chunk.length;
      if (text.length < 10_000) text += chunk.toString();
    });
    await Promise.race([once(stream, "end"), failed]);
    return { status: Number(head[":status"]), headers: head, trailers, informational, octets, text };
  }

  stop(): void {
    this.session.destroy();
  }
}
