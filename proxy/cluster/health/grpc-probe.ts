import type { ClientHttp2Session, IncomingHttpHeaders } from "node:http2";
import { connect } from "node:http2";
import type { GrpcProbe } from "../../../common/model/health-check.ts";
import { meshError, toMeshError } from "../../errors.ts";
import { grpcStatusName } from "../../http/grpc-status.ts";
import type { ProbeResult, Prober, ProbeTarget } from "./probe.ts";

/**
 * Asks by the gRPC health checking protocol, grpc.health.v1.Health/Check (Envoy's GrpcHealthCheck): only SERVING is well. Node's own
 * HTTP/2 client speaks here, because a check every few seconds is no hot path.
 */
export class GrpcProber implements Prober {
  readonly #request: Buffer;
  readonly #authority: string;
  readonly #target: ProbeTarget;
  #session: ClientHttp2Session | undefined = undefined;
  #generation = 0;

  constructor({ service, authority }: GrpcProbe, target: ProbeTarget) {
    this.#request = framed(encodeRequest(service));
    this.#authority = authority ?? target.host;
    this.#target = target;
  }

  async ask(): Promise<ProbeResult> {
    try {
      const why = await this.#call(await this.#open());
      if (!this.#target.reusesConnection) this.close();
      return why === undefined ? { isWell: true } : { isWell: false, why };
    } catch (thrown) {
      this.close();
      const { code, detail } = toMeshError(thrown);
      return { isWell: false, why: detail === "" ? code : `${code}: ${detail}` };
    }
  }

  close(): void {
    this.#generation++;
    this.#session?.destroy();
    this.#session = undefined;
  }

  async #open(): Promise<ClientHttp2Session> {
    if (this.#session !== undefined && !this.#session.closed && !this.#session.destroyed)
      return this.#session;
    this.close();
    const generation = this.#generation;
    const socket = await this.#target.open(["h2"]);
    if (generation !== this.#generation) {
      socket.destroy();
      throw meshError("connect_timeout", "health_check");
    }
    const session = connect(`${this.#target.scheme}://${this.#authority}`, {
      createConnection: () => socket,
    });
    session.on("error", () => {});
    this.#session = session;
    return session;
  }

  /** Undefined when the service serves, else why not. */
  #call(session: ClientHttp2Session): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      const stream = session.request({
        ":method": "POST",
        ":path": "/grpc.health.v1.Health/Check",
        ":authority": this.#authority,
        "content-type": "application/grpc",
        te: "trailers",
        "user-agent": "Weft/HC",
      });
      let head: IncomingHttpHeaders = {};
      let trailers: IncomingHttpHeaders = {};
      const chunks: Buffer[] = [];
      let bytes = 0;
      stream.on("response", (headers) => {
        head = headers;
      });
      stream.on("trailers", (headers) => {
        trailers = headers;
      });
      stream.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= maxAnswerBytes) chunks.push(chunk);
        else stream.close();
      });
      stream.on("error", (cause) => reject(meshError("upstream_reset", "stream_reset", cause)));
      // Also when the stream was reset, and when the session broke off.
      stream.on("close", () => resolve(judge(head, trailers, Buffer.concat(chunks))));
      stream.end(this.#request);
    });
  }
}

function judge(head: IncomingHttpHeaders, trailers: IncomingHttpHeaders, body: Buffer): string | undefined {
  const status = head[":status"] as number | undefined;
  if (status === undefined) return "no answer";
  if (status !== 200) return `HTTP status ${status}`;
  const code = trailers["grpc-status"] ?? head["grpc-status"];
  if (code === undefined) return "no grpc-status";
  if (code !== "0") return `gRPC status ${grpcStatusName(String(code))}`;
  const serving = decodeResponse(body.subarray(frameHead));
  return serving === 1 ? undefined : `serving status ${servingNames[serving] ?? serving}`;
}

/** HealthCheckRequest: a string in field 1. */
function encodeRequest(service: string): Buffer {
  const text = Buffer.from(service);
  if (text.length === 0) return text;
  const head = [0x0a];
  let rest = text.length;
  for (; rest > 0x7f; rest >>>= 7) head.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, rest]), text]);
}

/** HealthCheckResponse: an enum in field 1, whose values all fit into one byte; 0 when it is left out. */
function decodeResponse(message: Buffer): number {
  return message[0] === 0x08 ? (message[1] ?? 0) : 0;
}

/** A gRPC message is led by a byte that says whether it is compressed, and its length. */
function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(frameHead);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const frameHead = 5;
const servingNames = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const maxAnswerBytes = 64 * 1024;
