import type { FastifyInstance } from "fastify";
import type { AccessToken } from "./access-token.ts";

export interface AccessRules {
  /** Who asks must show it. Absent: whoever reaches the port may ask. */
  readonly token?: AccessToken;
  /** Whether only this machine reaches the port. */
  readonly isLocal: () => boolean;
  /** Somebody was turned away. `why` holds nothing that was secret. */
  readonly refused?: (address: string, why: string) => void;
}

/** Kubernetes' probes know no token, and it tells nothing of the mesh. */
const openToAll = "/ready";

/**
 * Refuses what a web page elsewhere could make a browser send here: requests under a foreign name (DNS rebinding) and
 * requests that say they come from another origin. Programs are not hindered, as long as they show the token where there is one.
 */
export function guardAccess(app: FastifyInstance, { token, isLocal, refused }: AccessRules): void {
  app.addHook("onRequest", async (request, reply) => {
    const { host, origin, authorization } = request.headers;
    const foreign = isLocal() ? foreignName(host, origin) : foreignOrigin(host, origin);
    if (foreign !== undefined) {
      const why = isLocal()
        ? `${JSON.stringify(foreign)} is not a name of this machine`
        : `${JSON.stringify(foreign)} is another origin`;
      const hint = isLocal()
        ? "this API answers on this machine only, under 127.0.0.1, [::1] or localhost"
        : "this API is for programs, not for pages of other sites";
      refused?.(request.ip, why);
      return reply.code(403).send({ problems: [{ path: "", why, hint }] });
    }
    if (token === undefined || request.url === openToAll) return;
    const given = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    const verdict = given === undefined ? "missing" : await token.check(given);
    if (verdict === "right") return;
    const why = reasons[verdict];
    refused?.(request.ip, why);
    const hint =
      "send `authorization: Bearer TOKEN` with what the control plane's --http-token-file holds; weft's commands do with --token-file or WEFT_HTTP_TOKEN_FILE";
    const code = verdict === "unreadable" ? 503 : 401;
    if (code === 401) reply.header("www-authenticate", 'Bearer realm="weft"');
    return reply.code(code).send({ problems: [{ path: "", why, hint }] });
  });
}

const reasons = {
  missing: "this API wants a token, and the request has none",
  wrong: "the token is not the one that this API wants",
  unreadable: "the control plane cannot read its own token file now",
} as const;

/** True for addresses to listen on that only this machine reaches. */
export function isLocalAddress(host: string): boolean {
  return isLocalName(host.includes(":") ? `[${host}]` : host);
}

function foreignName(host: string | undefined, origin: string | undefined): string | undefined {
  if (host !== undefined && !isLocalName(host)) return host;
  if (origin === undefined) return undefined;
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  return url !== undefined && isLocalName(url.host) ? undefined : origin;
}

function foreignOrigin(host: string | undefined, origin: string | undefined): string | undefined {
  if (origin === undefined) return undefined;
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase() ? undefined : origin;
}

function isLocalName(authority: string): boolean {
  const name = authority.replace(/:\d+$/, "").toLowerCase();
  return name === "localhost" || name === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(name);
}
