import { Client, credentials } from "@grpc/grpc-js";
import type { Clock } from "../../common/base/clock.ts";
import type { ExternalService } from "../../common/model/external-authorization.ts";
import type { AccessSubject } from "../../common/routing/access-subject.ts";
import type { CheckAnswer, CheckQuestion } from "../../common/xds/external-auth.ts";
import { checkMethod, decodeCheckAnswer, encodeCheck } from "../../common/xds/external-auth.ts";
import type { Exchange } from "../http/exchange.ts";
import type { AskExternal, ShownBody } from "./external-answer.ts";
import { ExternalFailure } from "./external-answer.ts";
import { RequestSubject } from "./request-subject.ts";

/** Channels to services that are asked by gRPC, one per address. Outlives config. */
export class GrpcChannels {
  readonly #clients = new Map<string, Client>();

  obtain(address: string): Client {
    let client = this.#clients.get(address);
    if (client === undefined) {
      if (this.#clients.size >= maxChannels) {
        const [oldest, unused] = this.#clients.entries().next().value!;
        unused.close();
        this.#clients.delete(oldest);
      }
      client = new Client(address, credentials.createInsecure(), {
        "grpc.max_receive_message_length": 1024 * 1024,
      });
      this.#clients.set(address, client);
    }
    return client;
  }

  stop(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

const maxChannels = 64;

export interface AskGrpcParts {
  readonly channels: GrpcChannels;
  /** An endpoint of a cluster as `ip:port`; undefined when there is none. */
  readonly endpointOf: (cluster: string) => string | undefined;
  readonly clock: Clock;
}

/** Asks `envoy.service.auth.v3.Authorization` about requests. */
export function askGrpc(
  service: ExternalService,
  isRaw: boolean,
  parts: AskGrpcParts,
): AskExternal<Exchange> {
  return async (exchange, body) =>
    answerOf(await check(service, questionAbout(exchange, body, isRaw, parts.clock), parts));
}

/** Asks about a connection whose bytes nobody reads: true when it may be used. */
export async function askGrpcAboutConnection(
  service: ExternalService,
  subject: AccessSubject,
  sourcePort: number,
  parts: AskGrpcParts,
): Promise<boolean> {
  const { source, destination, serverName } = ends(subject, sourcePort);
  return (await check(service, { source, destination, serverName, time: parts.clock.now() }, parts))
    .isAllowed;
}

function check(service: ExternalService, question: CheckQuestion, parts: AskGrpcParts): Promise<CheckAnswer> {
  const address = parts.endpointOf(service.cluster);
  if (address === undefined) return Promise.reject(new ExternalFailure(`${service.cluster} has no endpoint`));
  const deadline = new Date(parts.clock.now() + service.timeoutMs);
  return new Promise((resolve, reject) => {
    parts.channels
      .obtain(address)
      .makeUnaryRequest(
        checkMethod,
        encodeCheck,
        decodeCheckAnswer,
        question,
        { deadline },
        (error, answer) => {
          if (error) reject(new ExternalFailure(error.message, { cause: error }));
          else if (answer === undefined) reject(new ExternalFailure("it answered nothing"));
          else resolve(answer);
        },
      );
  });
}

function ends(
  subject: AccessSubject,
  sourcePort: number,
): Pick<CheckQuestion, "source" | "destination" | "serverName"> {
  return {
    source: { address: subject.sourceIp, port: sourcePort, principal: subject.peer?.spiffeId ?? "" },
    destination: { address: subject.destinationIp, port: subject.destinationPort, principal: "" },
    serverName: subject.serverName ?? "",
  };
}

function questionAbout(
  exchange: Exchange,
  body: ShownBody | undefined,
  isRaw: boolean,
  clock: Clock,
): CheckQuestion {
  const headers = new Map<string, string>([
    [":method", exchange.method],
    [":authority", exchange.authority],
    [":path", exchange.path],
    [":scheme", exchange.scheme],
  ]);
  const { raw } = exchange.headers;
  for (let i = 0; i < raw.length; i += 2) {
    const lower = raw[i]!.toLowerCase();
    if (lower.startsWith(":")) continue;
    const before = headers.get(lower);
    headers.set(lower, before === undefined ? raw[i + 1]! : `${before},${raw[i + 1]!}`);
  }
  if (body?.isPartial) headers.set("x-envoy-auth-partial-body", "true");
  return {
    ...ends(new RequestSubject(exchange), exchange.downstream.remote.port),
    time: clock.now(),
    http: {
      id: exchange.headers.get("x-request-id") ?? "",
      method: exchange.method,
      headers,
      path: exchange.path,
      host: exchange.authority,
      scheme: exchange.scheme,
      protocol: exchange.protocol,
      size: exchange.body.length ?? -1,
      isRaw,
      ...(body === undefined ? {} : { body: body.bytes }),
    },
  };
}

function answerOf({ isAllowed, headers, removed, responseHeaders, status, body }: CheckAnswer) {
  return {
    isAllowed,
    requestHeaders: isAllowed ? headers : [],
    removedHeaders: removed,
    responseHeaders: isAllowed ? responseHeaders : headers,
    status: status || 403,
    body: Buffer.from(body),
  };
}
