import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { MeshCall, MeshReply } from "./call-mesh.ts";
import { callMesh } from "./call-mesh.ts";

/** One request as a handler of the shop sees it. */
export interface ServiceRequest {
  readonly method: string;
  /** Path without query, as the service sees it (after the mesh's rewrites). */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  /** The JSON body; undefined without one. Throws ServiceError 400 for text that is no JSON and 413 above 64 KiB. */
  json(): Promise<unknown>;
  /** Calls another service of the shop through the mesh; trace headers and the user go along. */
  call(service: string, path: string, call?: MeshCall): Promise<MeshReply>;
}

/** What a handler answers. Objects become JSON with `servedBy` added; strings and bytes go out as they are. */
export interface ServiceAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Readonly<Record<string, unknown>> | string | Uint8Array;
}

/** `GET /productms/products/:id` → handler. A segment `:name` matches one segment and arrives in `params`; `*` matches the rest. */
export type ServiceRoutes = Readonly<Record<string, ServiceHandler>>;

export type ServiceHandler = (
  request: ServiceRequest,
  params: Readonly<Record<string, string>>,
) => ServiceAnswer | Promise<ServiceAnswer>;

export interface ServiceOptions {
  readonly name: string;
  /** `v1`; from the environment variable VERSION when absent. */
  readonly version?: string;
  /** From PORT when absent; 0 picks a free one. */
  readonly port?: number;
  /** The sidecar's outbound port, from MESH_URL when absent. Without one, services are called by their names directly. */
  readonly meshUrl?: string;
  readonly routes: ServiceRoutes;
}

export interface RunningService {
  readonly url: string;
  /** Finishes the requests it has and closes. */
  stop(): Promise<void>;
}

/** An answer other than 2xx that a handler throws. */
export class ServiceError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const maxBodyBytes = 64 * 1024;

/** Starts a service on loopback. As a program (see `runService`) it also stops on SIGTERM. */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const version = options.version ?? process.env.VERSION ?? "v1";
  const servedBy = `${options.name}-${version}`;
  const meshUrl = options.meshUrl ?? process.env.MESH_URL;
  const routes = Object.entries(options.routes).map(([pattern, handler]) => ({
    ...parsePattern(pattern),
    handler,
  }));

  async function answer(message: IncomingMessage): Promise<ServiceAnswer> {
    const url = new URL(message.url ?? "/", "http://service");
    if (url.pathname === "/health") return { body: { status: "ok" } };
    for (const route of routes) {
      if (route.method !== message.method) continue;
      const params = matchPath(route.segments, url.pathname);
      if (params === undefined) continue;
      return route.handler(
        {
          method: route.method,
          path: url.pathname,
          query: url.searchParams,
          headers: message.headers,
          json: () => readJson(message),
          call: (service, path, call = {}) => callMesh(meshUrl, message.headers, service, path, call),
        },
        params,
      );
    }
    throw new ServiceError(404, `${options.name} has nothing at ${message.method} ${url.pathname}`);
  }

  const server = createServer((message, response) => {
    answer(message)
      .catch(answerForError)
      .then((result) => send(response, servedBy, result))
      .catch(() => response.destroy());
  });
  // Longer than the sidecar keeps an idle connection, so that the sidecar is the one who closes it.
  server.keepAliveTimeout = 120_000;
  await listen(server, options.port ?? Number(process.env.PORT ?? 9080));
  const port = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}

/** The program around a service: says where it listens, and on SIGTERM or SIGINT finishes its requests and ends. */
export async function runService(options: ServiceOptions): Promise<void> {
  const service = await startService(options);
  const version = options.version ?? process.env.VERSION ?? "v1";
  process.stdout.write(`${options.name} ${version} listens at ${service.url}\n`);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      void service.stop().then(() => process.exit(0));
    });
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
}

function answerForError(error: unknown): ServiceAnswer {
  if (error instanceof ServiceError) return { status: error.status, body: { error: error.message } };
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return { status: 500, body: { error: "the service failed; its log says why" } };
}

function send(response: ServerResponse, servedBy: string, answer: ServiceAnswer): void {
  const { body = {} } = answer;
  const isJson = typeof body !== "string" && !(body instanceof Uint8Array);
  const bytes = isJson ? `${JSON.stringify({ ...body, servedBy }, undefined, 2)}\n` : body;
  response.writeHead(answer.status ?? 200, {
    ...(isJson ? { "content-type": "application/json; charset=utf-8" } : {}),
    "content-length": Buffer.byteLength(bytes),
    "x-served-by": servedBy,
    ...answer.headers,
  });
  response.end(bytes);
}

async function readJson(message: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of message as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBodyBytes) throw new ServiceError(413, "the body is larger than 64 KiB");
    parts.push(part);
  }
  if (size === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(parts).toString("utf8"));
  } catch {
    throw new ServiceError(400, "the body is not JSON");
  }
}

interface Pattern {
  readonly method: string;
  readonly segments: readonly string[];
}

function parsePattern(pattern: string): Pattern {
  const [method = "GET", path = "/"] = pattern.split(" ");
  return { method, segments: path.split("/").slice(1) };
}

function matchPath(pattern: readonly string[], path: string): Record<string, string> | undefined {
  const segments = path.split("/").slice(1);
  const params: Record<string, string> = {};
  for (const [index, wanted] of pattern.entries()) {
    if (wanted === "*") return { ...params, rest: segments.slice(index).join("/") };
    const segment = segments[index];
    if (segment === undefined) return undefined;
    if (wanted.startsWith(":") && segment !== "") params[wanted.slice(1)] = decode(segment);
    else if (wanted !== segment) return undefined;
  }
  return segments.length === pattern.length ? params : undefined;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new ServiceError(400, "the path is not valid percent-encoding");
  }
}
