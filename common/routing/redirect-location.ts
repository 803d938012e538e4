import type { PathMatch, RedirectAction } from "../model/route.ts";
import { hostOf, portOf } from "./host.ts";
import type { RequestView } from "./request-view.ts";
import { pathEnd } from "./request-view.ts";
import { pathText, prefixRewrite } from "./rewrite-path.ts";

/** What a Location is made from. */
export type RedirectedRequest = Pick<RequestView, "scheme" | "authority" | "path">;

/**
 * Makes a redirect's Location ready (Envoy's RedirectAction). Scheme, authority and path are those of the request where the
 * action says nothing; the query is kept unless the action's path brings its own.
 */
export function compileLocation(
  match: PathMatch,
  action: RedirectAction,
): (request: RedirectedRequest) => string {
  const newPath = compilePath(match, action);
  return (request) => {
    const scheme = action.scheme ?? request.scheme;
    return `${scheme}://${authorityFor(action, request, scheme)}${newPath(request.path)}`;
  };
}

function compilePath(match: PathMatch, action: RedirectAction): (path: string) => string {
  if (action.path !== undefined) {
    const replacement = pathText(action.path.startsWith("/") ? action.path : `/${action.path}`);
    if (replacement.includes("?")) return () => replacement;
    return (path) => replacement + path.slice(pathEnd(path));
  }
  if (action.prefix !== undefined) return prefixRewrite(match, action.prefix);
  return (path) => path;
}

/**
 * The host with the port that the client has to use next. A port that is the default of the new scheme is left out; the request's
 * own port is dropped when it was the default of the scheme that the redirect leaves (`http://a:80` → `https://a`).
 */
function authorityFor(action: RedirectAction, request: RedirectedRequest, scheme: string): string {
  const authority = action.authority ?? request.authority;
  const host = hostOf(authority);
  const port = portFor(action, request, authority, scheme);
  return port === "" || port === defaultPort(scheme) ? host : `${host}:${port}`;
}

function portFor(
  action: RedirectAction,
  request: RedirectedRequest,
  authority: string,
  scheme: string,
): string {
  if (action.port === "from-protocol-default") return "";
  if (action.port === "from-request-port") return portOf(request.authority) || defaultPort(request.scheme);
  if (action.port !== undefined) return String(action.port);
  const port = portOf(authority);
  const isLeftDefault =
    action.authority === undefined && scheme !== request.scheme && port === defaultPort(request.scheme);
  return isLeftDefault ? "" : port;
}

function defaultPort(scheme: string): string {
  return scheme === "https" ? "443" : "80";
}
