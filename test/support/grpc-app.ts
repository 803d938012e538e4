import type {
  ClientReadableStream,
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  MethodDefinition,
  ServiceError,
} from "@grpc/grpc-js";
import { Client, credentials, Metadata, Server, ServerCredentials, status } from "@grpc/grpc-js";

/** A gRPC service without a schema: messages are text. One method of each kind. */

const text = (value: string) => Buffer.from(value);
const untext = (bytes: Buffer) => bytes.toString();
const codec = {
  requestSerialize: text,
  requestDeserialize: untext,
  responseSerialize: text,
  responseDeserialize: untext,
};

function method(
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<string, string> {
  return { path: `/test.Echo/${name}`, requestStream, responseStream, ...codec };
}

const methods = {
  Say: method("Say", false, false),
  Count: method("Count", false, true),
  Gather: method("Gather", true, false),
  Chat: method("Chat", true, true),
};

export interface GrpcApp {
  readonly port: number;
  /** Calls that arrived, with the metadata that they had. */
  readonly calls: { readonly method: string; readonly metadata: Metadata; readonly deadline: number }[];
  /** Statuses that the next unary calls end with, before they succeed. */
  readonly failures: number[];
  /** What a call of `Say "wait"` waits for. */
  hold: Promise<unknown>;
  /** Unary calls that were cancelled before they were answered. */
  cancelled: number;
  stop(): void;
}

export async function startGrpcApp(address = "127.0.0.1:0"): Promise<GrpcApp> {
  const app = {
    calls: [] as GrpcApp["calls"],
    failures: [] as number[],
    hold: Promise.resolve() as Promise<unknown>,
    cancelled: 0,
  };
  const note = (name: string, call: { metadata: Metadata; getDeadline(): Date | number }) => {
    const deadline = call.getDeadline();
    app.calls.push({ method: name, metadata: call.metadata, deadline: Number(deadline) });
  };
  const say: handleUnaryCall<string, string> = (call, done) => {
    note("Say", call);
    call.on("cancelled", () => {
      app.cancelled++;
    });
    const code = app.failures.shift();
    if (code !== undefined) {
      done({ code, details: "the app says no" });
      return;
    }
    const trailers = new Metadata();
    trailers.set("x-trailer", "behind");
    const answer = () => done(null, `you said ${call.request}`, trailers);
    if (call.request === "wait") void app.hold.then(answer);
    else answer();
  };
  const count: handleServerStreamingCall<string, string> = (call) => {
    note("Count", call);
    for (let i = 1; i <= Number(call.request); i++) call.write(String(i));
    call.end();
  };
  const gather: handleClientStreamingCall<string, string> = (call, done) => {
    note("Gather", call);
    const parts: string[] = [];
    call.on("data", (part: string) => parts.push(part));
    call.on("end", () => done(null, parts.join("+")));
  };
  const chat: handleBidiStreamingCall<string, string> = (call) => {
    note("Chat", call);
    call.on("data", (part: string) => {
      if (part === "break") call.emit("error", { code: status.ABORTED, details: "broken" });
      else call.write(`re: ${part}`);
    });
    call.on("end", () => call.end());
  };
  const server = new Server();
  server.addService(methods, { Say: say, Count: count, Gather: gather, Chat: chat });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return Object.assign(app, { port, stop: () => server.forceShutdown() });
}

export interface Answer {
  readonly code: number;
  readonly details: string;
  readonly text: string;
  readonly trailers: Metadata | undefined;
}

/** Calls the service at `port` as if it were `authority`. */
export class GrpcClient {
  readonly #client: Client;

  constructor(port: number, authority: string, host = "127.0.0.1") {
    this.#client = new Client(`${host}:${port}`, credentials.createInsecure(), {
      "grpc.default_authority": authority,
      "grpc.enable_retries": 0,
    });
  }

  say(
    message: string,
    options: { deadlineMs?: number; metadata?: Record<string, string> } = {},
  ): Promise<Answer> {
    return new Promise((resolve) => {
      let trailers: Metadata | undefined;
      const { path } = methods.Say;
      const metadata = new Metadata();
      for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
      const deadline = options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
      const call = this.#client.makeUnaryRequest(
        path,
        text,
        untext,
        message,
        metadata,
        deadline,
        (error, answer) => setImmediate(() => resolve(answerOf(error, answer, trailers))),
      );
      call.on("status", (end) => {
        trailers = end.metadata;
      });
    });
  }

  async count(to: number): Promise<readonly string[]> {
    const stream = this.#client.makeServerStreamRequest(methods.Count.path, text, untext, String(to));
    return readAll(stream);
  }

  gather(parts: readonly string[]): Promise<Answer> {
    return new Promise((resolve) => {
      const stream = this.#client.makeClientStreamRequest<string, string>(
        methods.Gather.path,
        text,
        untext,
        (error, answer) => resolve(answerOf(error, answer, undefined)),
      );
      for (const part of parts) stream.write(part);
      stream.end();
    });
  }

  chat() {
    return this.#client.makeBidiStreamRequest<string, string>(methods.Chat.path, text, untext);
  }

  stop(): void {
    this.#client.close();
  }
}

function answerOf(
  error: ServiceError | null,
  answer: string | undefined,
  trailers: Metadata | undefined,
): Answer {
  return {
    code: error?.code ?? status.OK,
    details: error?.details ?? "",
    text: answer ?? "",
    trailers: error?.metadata ?? trailers,
  };
}

async function readAll(stream: ClientReadableStream<string>): Promise<readonly string[]> {
  const parts: string[] = [];
  for await (const part of stream) parts.push(part as string);
  return parts;
}
