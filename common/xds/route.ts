import type { Result } from "../base/result.ts";
import type { Route, RouteConfiguration, VirtualHost } from "../model/route.ts";
import { breakersToJson, withBreakers } from "./circuit-breaker.ts";
import { adsConfigSource } from "./config-source.ts";
import { fromFilterConfig, toFilterConfig } from "./filter-config.ts";
import messages from "./generated/messages.js";
import { fromHeaderFields, hasHeaderOperations, toHeaderFields } from "./header-value.ts";
import { rateLimitsFromJson, rateLimitsToJson } from "./rate-limit.ts";
import { fromRedirect, fromRouteAction, toRedirect, toRouteAction } from "./route-action.ts";
import { fromRouteMatch, toRouteMatch } from "./route-match.ts";
import { fromWeftMetadata, sourceFromJson, sourceToJson, text, toWeftMetadata } from "./weft-metadata.ts";
import type { Reading } from "./wire.ts";
import { readMessage } from "./wire.ts";

type WireRoute = messages.envoy.config.route.v3.Route;
type WireVirtualHost = messages.envoy.config.route.v3.VirtualHost;
type WireRouteConfiguration = messages.envoy.config.route.v3.RouteConfiguration;
type WireAction = Pick<WireRoute, "route" | "redirect" | "directResponse">;

const RouteConfigurationCodec = messages.envoy.config.route.v3.RouteConfiguration;
const VirtualHostCodec = messages.envoy.config.route.v3.VirtualHost;

const routeType = "envoy.config.route.v3.Route";
/** Bodies above Envoy's default of 4 kB are allowed up to Istio's limit. */
const maxDirectResponseBytes = 1_048_576;

export function encodeRouteConfiguration(configuration: RouteConfiguration): Uint8Array {
  return RouteConfigurationCodec.encode(toRouteConfiguration(configuration)).finish();
}

/** Anything that a route needs to be matched or obeyed as meant, and that we do not know, is a problem. Never throws. */
export function decodeRouteConfiguration(bytes: Uint8Array): Result<RouteConfiguration> {
  return readMessage(RouteConfigurationCodec, bytes, (message, reading) =>
    fromRouteConfiguration(message, "", reading),
  );
}

export function encodeVirtualHost(virtualHost: VirtualHost): Uint8Array {
  return VirtualHostCodec.encode(toVirtualHost(virtualHost)).finish();
}

export function decodeVirtualHost(bytes: Uint8Array): Result<VirtualHost> {
  return readMessage(VirtualHostCodec, bytes, (message, reading) => fromVirtualHost(message, "", reading));
}

/**
 * The same route configuration with `virtualHosts` (each as `encodeVirtualHost` made it) inside instead of fetched through
 * VHDS, for clients that do not speak it. The bytes are copied, not decoded.
 */
export function inlineVirtualHosts(
  routeConfiguration: Uint8Array,
  virtualHosts: Iterable<Uint8Array>,
): Uint8Array {
  const { vhds: _, ...message } = RouteConfigurationCodec.decode(routeConfiguration);
  const hosts = Array.from(virtualHosts, (bytes) => VirtualHostCodec.decode(bytes));
  return RouteConfigurationCodec.encode({
    ...message,
    virtualHosts: hosts,
    ignorePortInHostMatching: !portsMatter(hosts),
  }).finish();
}

export function toRouteConfiguration(configuration: RouteConfiguration): WireRouteConfiguration {
  const virtualHosts = configuration.virtualHosts.map(toVirtualHost);
  return {
    name: configuration.name,
    virtualHosts,
    ...(configuration.vhds ? { vhds: { configSource: adsConfigSource() } } : {}),
    ignorePortInHostMatching: !portsMatter(virtualHosts),
    // A route whose cluster is not there yet answers 503; it must not take the other routes down with it.
    validateClusters: { value: false },
    maxDirectResponseBodySizeBytes: { value: maxDirectResponseBytes },
  };
}

/**
 * True when some virtual host has a domain with a port and not the same domain without it, as in an explicit proxy's
 * configuration. Envoy would never find it while it ignores ports.
 */
function portsMatter(virtualHosts: readonly WireVirtualHost[]): boolean {
  return virtualHosts.some(({ domains }) => {
    const known = new Set(domains);
    return [...known].some((domain) => /:\d+$/.test(domain) && !known.has(domain.replace(/:\d+$/, "")));
  });
}

export function fromRouteConfiguration(
  message: WireRouteConfiguration,
  path: string,
  reading: Reading,
): RouteConfiguration {
  const base = path === "" ? "" : `${path}.`;
  refuseSharedSettings(message, base, reading);
  return {
    name: message.name ?? "",
    virtualHosts: (message.virtualHosts ?? []).map((host, index) =>
      fromVirtualHost(host, `${base}virtualHosts[${index}]`, reading),
    ),
    vhds: message.vhds != null,
  };
}

function toVirtualHost(virtualHost: VirtualHost): WireVirtualHost {
  return {
    name: virtualHost.name,
    domains: [...virtualHost.domains],
    routes: virtualHost.routes.map(toRoute),
  };
}

function fromVirtualHost(message: WireVirtualHost, path: string, reading: Reading): VirtualHost {
  const base = path === "" ? "" : `${path}.`;
  reading.refuseUnknown(message, "envoy.config.route.v3.VirtualHost", path, ["matcher"]);
  refuseSharedSettings(message, base, reading);
  if (!message.name) reading.problem(`${base}name`, "is empty");
  if (!message.domains?.length)
    reading.problem(`${base}domains`, "is empty", 'a host for all domains has "*"');
  if (message.requireTls) reading.problem(`${base}requireTls`, "is not supported");
  return {
    name: message.name ?? "",
    domains: (message.domains ?? []).map((domain) => domain.toLowerCase()),
    routes: (message.routes ?? []).map((route, index) =>
      fromRoute(route, `${base}routes[${index}]`, reading),
    ),
  };
}

/** Settings of the levels above a route; the model has them on routes only, so they are refused instead of forgotten. */
function refuseSharedSettings(
  message: WireRouteConfiguration | WireVirtualHost,
  base: string,
  reading: Reading,
): void {
  const { requestHeaders, responseHeaders } = fromHeaderFields(message, base.slice(0, -1), reading);
  if (hasHeaderOperations(requestHeaders))
    reading.problem(`${base}requestHeadersToAdd`, "is supported on routes only");
  if (hasHeaderOperations(responseHeaders))
    reading.problem(`${base}responseHeadersToAdd`, "is supported on routes only");
  if (Object.keys(message.typedPerFilterConfig ?? {}).length > 0) {
    reading.problem(`${base}typedPerFilterConfig`, "is supported on routes only");
  }
  if (message.requestMirrorPolicies?.length) {
    reading.problem(`${base}requestMirrorPolicies`, "is supported on routes only");
  }
}

function toRoute(route: Route): WireRoute {
  const metadata = toWeftMetadata({
    source: sourceToJson(route.source),
    breakers: breakersToJson(route.action),
    rateLimits: rateLimitsToJson(route.rateLimits),
    faultDelay: route.fault?.delay?.kind === "exponential" ? "exponential" : undefined,
    redirectPort:
      route.action.kind === "redirect" && typeof route.action.port === "string"
        ? route.action.port
        : undefined,
  });
  return {
    name: route.name,
    match: toRouteMatch(route.match),
    ...toAction(route),
    ...(metadata ? { metadata } : {}),
    typedPerFilterConfig: toFilterConfig(route),
    ...toHeaderFields(route.requestHeaders, route.responseHeaders),
  };
}

function toAction({ action }: Route): WireAction {
  if (action.kind === "forward") return { route: toRouteAction(action) };
  if (action.kind === "redirect") return { redirect: toRedirect(action) };
  const hasBody = action.body.length > 0;
  return {
    directResponse: { status: action.status, ...(hasBody ? { body: { inlineBytes: action.body } } : {}) },
  };
}

function fromRoute(route: WireRoute, path: string, reading: Reading): Route {
  reading.refuseUnknown(route, routeType, path, ["filterAction", "nonForwardingAction"]);
  const weft = fromWeftMetadata(route.metadata);
  const source = sourceFromJson(weft.source);
  const rateLimits = rateLimitsFromJson(weft.rateLimits, `${path}.metadata`, reading);
  const isExponential = text(weft, "faultDelay") === "exponential";
  return {
    name: route.name ?? "",
    ...(source ? { source } : {}),
    match: fromRouteMatch(route.match, `${path}.match`, reading),
    action: withBreakers(
      fromAction(route, text(weft, "redirectPort"), path, reading),
      weft.breakers,
      `${path}.metadata`,
      reading,
    ),
    ...fromHeaderFields(route, path, reading),
    ...(rateLimits && { rateLimits }),
    ...fromFilterConfig(route.typedPerFilterConfig, isExponential, `${path}.typedPerFilterConfig`, reading),
  };
}

function fromAction(
  route: WireAction,
  redirectPort: string | undefined,
  path: string,
  reading: Reading,
): Route["action"] {
  if (route.route) return fromRouteAction(route.route, `${path}.route`, reading);
  if (route.redirect) {
    const isWord = redirectPort === "from-protocol-default" || redirectPort === "from-request-port";
    return fromRedirect(route.redirect, isWord ? redirectPort : undefined, `${path}.redirect`, reading);
  }
  if (!route.directResponse) reading.problem(path, "has no action that this version understands");
  const { status, body } = route.directResponse ?? {};
  if (route.directResponse && ((status ?? 0) < 200 || (status ?? 0) > 599)) {
    reading.problem(`${path}.directResponse.status`, `${status} is not a status from 200 to 599`);
  }
  if (body?.filename || body?.environmentVariable) {
    reading.problem(`${path}.directResponse.body`, "must be inline");
  }
  return { kind: "direct-response", status: status ?? 0, body: bodyBytes(body) };
}

function bodyBytes(body: messages.envoy.config.core.v3.DataSource | null | undefined): Uint8Array {
  if (typeof body?.inlineString === "string") return new TextEncoder().encode(body.inlineString);
  return Uint8Array.from(body?.inlineBytes ?? []);
}
