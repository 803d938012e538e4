import type { FastifyReply } from "fastify";
import { fastify } from "fastify";
import type { Clock } from "../../common/base/clock.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import { formatKey } from "../resources/resource.ts";
import { saveResource } from "../resources/saved-resource.ts";
import { guardAccess, isLocalAddress } from "./access.ts";
import type { AccessToken } from "./access-token.ts";
import type { ControlPlaneApi } from "./api.ts";
import type { ControlPlaneMetrics } from "./metrics.ts";
import { addResourceRoutes } from "./resources.ts";

export interface AdminParts {
  readonly api: ControlPlaneApi;
  readonly metrics: ControlPlaneMetrics;
  readonly clock: Clock;
  /** Of a request's body; default that of a config file, 16 MB. */
  readonly maxBodyBytes?: number;
  /** Who asks must show it; needed to listen where others than this machine can come. */
  readonly token?: AccessToken;
  readonly refused?: (address: string, why: string) => void;
}

/** From the first to the last byte of a request, ms. Answers may take longer. */
const requestTimeoutMs = 60_000;
const maxConnections = 1_000;

/** The HTTP API. */
export interface AdminServer {
  /** Resolves with the address once it answers; port 0 takes a free one. Rejects when the port is taken, and beyond loopback without a token. */
  listen(address: SocketAddress): Promise<SocketAddress>;
  /** Ends what is under way. */
  close(): Promise<void>;
}

/** Not listening yet. Everything it says is JSON but `/metrics`; what is wrong is always `{ problems }`. */
export function createAdminServer({
  api,
  metrics,
  clock,
  token,
  refused,
  maxBodyBytes = 16 * 1024 * 1024,
}: AdminParts): AdminServer {
  let isLocal = true;
  const app = fastify({
    bodyLimit: maxBodyBytes,
    forceCloseConnections: true,
    requestTimeout: requestTimeoutMs,
    // What is wrong before a route is found, such as %zz in the path.
    frameworkErrors: (error, _request, reply: FastifyReply) => {
      reply.code(error.statusCode ?? 400).send({ problems: [{ path: "", why: error.message }] });
    },
  });
  // Bodies are read by our own YAML reader, whatever they call themselves: JSON is YAML too, and problems get lines.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));
  app.server.maxConnections = maxConnections;
  guardAccess(app, {
    isLocal: () => isLocal,
    ...(token && { token }),
    ...(refused && { refused }),
  });
  addResourceRoutes(app, api, clock);

  app.get("/proxies", async (request) => {
    const { runs } = request.query as { runs?: string };
    return { version: api.version(), proxies: api.proxies({ runs: runs === "true" }) };
  });
  app.get("/snapshot", async () => {
    const { resources, held, problems } = api.snapshot();
    return {
      version: api.version(),
      resources: resources.map((resource) => ({
        ...saveResource(resource),
        origin: api.store.sourceOf(resource),
      })),
      held: held.map(({ key, desired, live, problems: why }) => ({
        resource: formatKey(key),
        change: desired === undefined ? "removal" : "update",
        ...(desired && { version: desired.version }),
        ...(live && { live: live.version }),
        problems: why,
      })),
      problems,
    };
  });
  app.post("/explain", async (request, reply) => {
    const question = parseJson(request.body);
    if (question === undefined) {
      const hint =
        'such as {"url": "http://reviews/", "headers": {"end-user": "x"}, "labels": {"app": "ui"}}';
      return reply.code(400).send({ problems: [{ path: "", why: "the body is not a JSON object", hint }] });
    }
    const answer = api.explain(question);
    return answer.ok ? answer.value : reply.code(400).send({ problems: answer.problems });
  });
  app.get("/problems", async () => ({ problems: api.problems() }));
  app.get("/metrics", async (_request, reply) => {
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  app.get("/ready", async (_request, reply) => {
    const tasks = api.readiness();
    const isReady = tasks.every(({ isDone }) => isDone);
    return reply.code(isReady ? 200 : 503).send({
      ready: isReady,
      waitingFor: tasks.filter(({ isDone }) => !isDone).map(({ name }) => name),
    });
  });

  app.setNotFoundHandler(async (request, reply) => {
    const hint = "there are /resources /proxies /snapshot /explain /problems /metrics /ready";
    return reply
      .code(404)
      .send({ problems: [{ path: "", why: `there is no ${request.method} ${request.url}`, hint }] });
  });
  app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => {
    return reply.code(error.statusCode ?? 500).send({ problems: [{ path: "", why: error.message }] });
  });
  return {
    async listen({ host, port }) {
      isLocal = isLocalAddress(host);
      if (!isLocal && token === undefined)
        throw new Error("without a token file it may listen on this machine's own addresses only");
      await app.listen({ host, port });
      const bound = app.server.address();
      return { host, port: typeof bound === "object" && bound !== null ? bound.port : port };
    },
    close: () => app.close(),
  };
}

function parseJson(body: unknown): unknown {
  try {
    return typeof body === "string" ? JSON.parse(body) : undefined;
  } catch {
    return undefined;
  }
}
