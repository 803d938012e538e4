import type { IncomingHttpHeaders } from "node:http";
import { Agent, request } from "node:http";

export interface MeshCall {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** ms until the call fails; default 10 s. */
  readonly timeoutMs?: number;
}

export interface MeshReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The parsed JSON object, or an empty one when the answer was none (such as a proxy's own plain-text error). */
  readonly json: Readonly<Record<string, unknown>>;
}

/**
 * What a service must pass on so that its calls belong to the same trace (W3C and B3), and so that rules about the user
 * hold further down: the mesh sees separate requests and cannot know which one caused which.
 */
const passedOn = [
  "traceparent",
  "tracestate",
  "baggage",
  "b3",
  "x-b3-traceid",
  "x-b3-spanid",
  "x-b3-parentspanid",
  "x-b3-sampled",
  "x-b3-flags",
  "x-request-id",
  "end-user",
  "authorization",
];

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/**
 * Calls `http://SERVICE:9080PATH`. With `meshUrl` (the sidecar's outbound port) the connection goes there and the Host header
 * names the service; without it, straight to the name, as in a pod where the sidecar catches the connection.
 * Rejects when no answer came.
 */
export function callMesh(
  meshUrl: string | undefined,
  incoming: IncomingHttpHeaders,
  service: string,
  path: string,
  call: MeshCall,
): Promise<MeshReply> {
  const target = new URL(path, meshUrl ?? `http://${service}:9080`);
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  const headers: Record<string, string> = { host: `${service}:9080`, accept: "application/json" };
  for (const name of passedOn) {
    const value = incoming[name];
    if (typeof value === "string") headers[name] = value;
  }
  if (body !== undefined) {
    headers["content-type"] = "application/json";
    headers["content-length"] = String(Buffer.byteLength(body));
  }
  Object.assign(headers, call.headers);
  const timeoutMs = call.timeoutMs ?? 10_000;

  return new Promise((resolve, reject) => {
    const outgoing = request(target, { agent, method: call.method ?? "GET", headers }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.once("error", reject);
      response.once("end", () =>
        resolve({
          status: response.statusCode ?? 502,
          headers: response.headers,
          json: parseObject(Buffer.concat(parts).toString("utf8")),
        }),
      );
    });
    outgoing.setTimeout(timeoutMs, () =>
      outgoing.destroy(new Error(`${service} did not answer within ${timeoutMs} ms`)),
    );
    outgoing.once("error", reject);
    outgoing.end(body);
  });
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
