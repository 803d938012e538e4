import type { FastifyInstance } from "fastify";

/**
 * Refuses what a web page elsewhere could make a browser send here: requests under a foreign name (DNS rebinding) and
 * requests that say they come from another origin. Programs on this machine are not hindered.
 */
export function allowLocalOnly(app: FastifyInstance): void {
  app.addHook("onRequest", async (request, reply) => {
    const foreign = foreignName(request.headers.host, request.headers.origin);
    if (foreign === undefined) return;
    const hint = "this API answers on this machine only, under 127.0.0.1, [::1] or localhost";
    await reply.code(403).send({
      problems: [{ path: "", why: `${JSON.stringify(foreign)} is not a name of this machine`, hint }],
    });
  });
}

function foreignName(host: string | undefined, origin: string | undefined): string | undefined {
  if (host !== undefined && !isLocalName(host)) return host;
  if (origin === undefined) return undefined;
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  return url !== undefined && isLocalName(url.host) ? undefined : origin;
}

function isLocalName(authority: string): boolean {
  const name = authority.replace(/:\d+$/, "").toLowerCase();
  return name === "localhost" || name === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(name);
}
