import type {
  ForwardAction,
  Mirror,
  RedirectAction,
  RetryPolicy,
  Rewrite,
  WeightedDestination,
} from "../model/route.ts";
import { noHeaderOperations } from "../model/route.ts";
import type messages from "./generated/messages.js";
import { fromHashPolicy, toHashPolicy } from "./hash-policy.ts";
import { fromHeaderFields, hasHeaderOperations, toHeaderFields } from "./header-value.ts";
import { fromRegexMatcher, toRegexMatcher } from "./string-matcher.ts";
import type { Reading } from "./wire.ts";
import { fromDuration, fromFraction, toDuration, toFraction } from "./wire.ts";

type WireRouteAction = messages.envoy.config.route.v3.RouteAction;
type WireRetryPolicy = messages.envoy.config.route.v3.RetryPolicy;
type ClusterWeight = messages.envoy.config.route.v3.WeightedCluster.ClusterWeight;
type MirrorPolicy = messages.envoy.config.route.v3.RouteAction.RequestMirrorPolicy;
type WireRedirect = messages.envoy.config.route.v3.RedirectAction;

const actionType = "envoy.config.route.v3.RouteAction";
/** Envoy's time-out for a route that names none. */
const defaultTimeoutMs = 15_000;

export function toRouteAction(action: ForwardAction): WireRouteAction {
  const { rewrite } = action;
  return {
    ...toClusters(action.destinations),
    ...(rewrite?.prefix === undefined ? {} : { prefixRewrite: rewrite.prefix }),
    ...(rewrite?.regex && {
      regexRewrite: {
        pattern: toRegexMatcher(rewrite.regex.pattern),
        substitution: rewrite.regex.substitution,
      },
    }),
    ...(rewrite?.authority === undefined ? {} : { hostRewriteLiteral: rewrite.authority }),
    timeout: toDuration(action.timeoutMs ?? 0),
    ...(action.retry && { retryPolicy: toRetryPolicy(action.retry) }),
    requestMirrorPolicies: action.mirrors.map(toMirrorPolicy),
    ...(action.hashPolicies && { hashPolicy: action.hashPolicies.map(toHashPolicy) }),
  };
}

export function fromRouteAction(action: WireRouteAction, path: string, reading: Reading): ForwardAction {
  reading.refuseUnknown(action, actionType, path, ["inlineClusterSpecifierPlugin", "pathRewritePolicy"]);
  for (const field of [
    "clusterHeader",
    "clusterSpecifierPlugin",
    "hostRewriteHeader",
    "hostRewritePathRegex",
  ] as const) {
    if (action[field]) reading.problem(`${path}.${field}`, "is not supported");
  }
  const timeoutMs = action.timeout ? fromDuration(action.timeout) : defaultTimeoutMs;
  const rewrite = fromRewrite(action, path, reading);
  const hashPolicies = (action.hashPolicy ?? []).flatMap((policy, index) =>
    fromHashPolicy(policy, `${path}.hashPolicy[${index}]`, reading),
  );
  return {
    kind: "forward",
    destinations: fromClusters(action, path, reading),
    ...(rewrite ? { rewrite } : {}),
    ...(timeoutMs > 0 ? { timeoutMs } : {}),
    ...(action.retryPolicy ? { retry: fromRetryPolicy(action.retryPolicy) } : {}),
    mirrors: (action.requestMirrorPolicies ?? []).map((policy, index) =>
      fromMirrorPolicy(policy, `${path}.requestMirrorPolicies[${index}]`, reading),
    ),
    ...(hashPolicies.length > 0 ? { hashPolicies } : {}),
  };
}

/** One destination with nothing of its own is written as a plain cluster, as every client understands it. */
function toClusters(destinations: readonly WeightedDestination[]): WireRouteAction {
  const [only] = destinations;
  const isPlain =
    destinations.length === 1 &&
    only?.weight === 100 &&
    !hasHeaderOperations(only.requestHeaders) &&
    !hasHeaderOperations(only.responseHeaders);
  if (isPlain) return { cluster: only.destination };
  return { weightedClusters: { clusters: destinations.map(toClusterWeight) } };
}

function toClusterWeight(destination: WeightedDestination): ClusterWeight {
  const { requestHeaders } = destination;
  const host = requestHeaders.set.find(([name]) => isHost(name));
  const request = host
    ? { ...requestHeaders, set: requestHeaders.set.filter((pair) => pair !== host) }
    : requestHeaders;
  return {
    name: destination.destination,
    weight: { value: destination.weight },
    ...toHeaderFields(request, destination.responseHeaders),
    ...(host ? { hostRewriteLiteral: host[1] } : {}),
  };
}

function isHost(name: string): boolean {
  return name.toLowerCase() === "host" || name === ":authority";
}

function fromClusters(action: WireRouteAction, path: string, reading: Reading): WeightedDestination[] {
  if (action.weightedClusters) {
    const clusters = action.weightedClusters.clusters ?? [];
    const destinations = clusters.map((cluster, index) =>
      fromClusterWeight(cluster, `${path}.weightedClusters.clusters[${index}]`, reading),
    );
    if (!destinations.some(({ weight }) => weight > 0)) {
      reading.problem(`${path}.weightedClusters`, "the sum of the weights must be more than 0");
    }
    return destinations;
  }
  if (!action.cluster) reading.problem(path, "names no cluster", "set cluster or weighted_clusters");
  return [
    {
      destination: action.cluster ?? "",
      weight: 100,
      requestHeaders: noHeaderOperations,
      responseHeaders: noHeaderOperations,
    },
  ];
}

function fromClusterWeight(cluster: ClusterWeight, path: string, reading: Reading): WeightedDestination {
  if (!cluster.name) reading.problem(`${path}.name`, "is empty");
  if (Object.keys(cluster.typedPerFilterConfig ?? {}).length > 0) {
    reading.problem(`${path}.typedPerFilterConfig`, "is supported on routes only");
  }
  const { requestHeaders, responseHeaders } = fromHeaderFields(cluster, path, reading);
  const host = cluster.hostRewriteLiteral;
  return {
    destination: cluster.name ?? "",
    weight: cluster.weight?.value ?? 0,
    requestHeaders: host
      ? { ...requestHeaders, set: [...requestHeaders.set, ["Host", host]] }
      : requestHeaders,
    responseHeaders,
  };
}

function fromRewrite(action: WireRouteAction, path: string, reading: Reading): Rewrite | undefined {
  const regex = action.regexRewrite;
  const rewrite: Rewrite = {
    ...(action.prefixRewrite ? { prefix: action.prefixRewrite } : {}),
    ...(regex && {
      regex: {
        pattern: fromRegexMatcher(regex.pattern, `${path}.regexRewrite.pattern`, reading),
        substitution: regex.substitution ?? "",
      },
    }),
    ...(action.hostRewriteLiteral ? { authority: action.hostRewriteLiteral } : {}),
  };
  return Object.keys(rewrite).length > 0 ? rewrite : undefined;
}

const statusCodeRule = "retriable-status-codes";

/** Istio's way to keep a retry from going where it failed; the number of its tries is Istio's too. */
const previousHosts = {
  name: "envoy.retry_host_predicates.previous_hosts",
  typedConfig: {
    type_url: "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    value: new Uint8Array(),
  },
};

/** With Istio's frequency: the priorities of the first two attempts are left from the third on. */
const previousPriorities = {
  name: "envoy.retry_priorities.previous_priorities",
  typedConfig: {
    type_url:
      "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
    // update_frequency (field 1): 2
    value: Uint8Array.of(8, 2),
  },
};

function toRetryPolicy(retry: RetryPolicy): WireRetryPolicy {
  // Envoy looks at the status codes only when this word is among the conditions.
  const needsRule = retry.statusCodes.length > 0 && !retry.on.includes(statusCodeRule);
  return {
    retryOn: (needsRule ? [...retry.on, statusCodeRule] : retry.on).join(","),
    numRetries: { value: retry.attempts },
    ...(retry.perTryTimeoutMs === undefined ? {} : { perTryTimeout: toDuration(retry.perTryTimeoutMs) }),
    retriableStatusCodes: [...retry.statusCodes],
    ...(retry.perTryIdleTimeoutMs === undefined
      ? {}
      : { perTryIdleTimeout: toDuration(retry.perTryIdleTimeoutMs) }),
    ...(retry.leavesPriority ? { retryPriority: previousPriorities } : {}),
    ...(retry.mayRepeatHost ? {} : { retryHostPredicate: [previousHosts], hostSelectionRetryMaxAttempts: 5 }),
    retryBackOff: {
      baseInterval: toDuration(Math.max(1, retry.baseIntervalMs)),
      maxInterval: toDuration(Math.max(1, retry.baseIntervalMs, retry.maxIntervalMs)),
    },
  };
}

/** Absent parts have Envoy's defaults: one retry, 25 ms doubling up to ten times that. */
export function fromRetryPolicy(retry: WireRetryPolicy): RetryPolicy {
  const backOff = retry.retryBackOff;
  const baseIntervalMs = backOff?.baseInterval ? fromDuration(backOff.baseInterval) : 25;
  return {
    attempts: retry.numRetries ? (retry.numRetries.value ?? 0) : 1,
    ...(retry.perTryTimeout && fromDuration(retry.perTryTimeout) > 0
      ? { perTryTimeoutMs: fromDuration(retry.perTryTimeout) }
      : {}),
    ...(retry.perTryIdleTimeout && fromDuration(retry.perTryIdleTimeout) > 0
      ? { perTryIdleTimeoutMs: fromDuration(retry.perTryIdleTimeout) }
      : {}),
    ...(retry.retryPriority?.name === previousPriorities.name ? { leavesPriority: true } : {}),
    on: (retry.retryOn ?? "").split(",").filter((word) => word !== ""),
    statusCodes: retry.retriableStatusCodes ?? [],
    ...(retry.retryHostPredicate?.some(({ name }) => name === previousHosts.name)
      ? {}
      : { mayRepeatHost: true }),
    baseIntervalMs,
    maxIntervalMs: backOff?.maxInterval ? fromDuration(backOff.maxInterval) : baseIntervalMs * 10,
  };
}

function toMirrorPolicy(mirror: Mirror): MirrorPolicy {
  return {
    cluster: mirror.destination,
    runtimeFraction: { defaultValue: toFraction(mirror.fraction) },
    disableShadowHostSuffixAppend: !mirror.shadowHostSuffix,
  };
}

function fromMirrorPolicy(policy: MirrorPolicy, path: string, reading: Reading): Mirror {
  if (!policy.cluster)
    reading.problem(`${path}.cluster`, "is empty; other ways to choose a cluster are not supported");
  return {
    destination: policy.cluster ?? "",
    fraction: policy.runtimeFraction ? fromFraction(policy.runtimeFraction.defaultValue) : 1,
    shadowHostSuffix: !policy.disableShadowHostSuffixAppend,
  };
}

/** Envoy's RedirectResponseCode in the order of its numbers. */
const redirectStatuses = [301, 302, 303, 307, 308];

export function toRedirect(action: RedirectAction): WireRedirect {
  const port = typeof action.port === "number" ? action.port : defaultPort(action);
  return {
    responseCode: Math.max(0, redirectStatuses.indexOf(action.status)) as 0 | 1 | 2 | 3 | 4,
    ...(action.path === undefined ? {} : { pathRedirect: action.path }),
    ...(action.prefix === undefined ? {} : { prefixRewrite: action.prefix }),
    ...(action.authority === undefined ? {} : { hostRedirect: action.authority }),
    ...(action.scheme === undefined ? {} : { schemeRedirect: action.scheme }),
    ...(port === undefined ? {} : { portRedirect: port }),
  };
}

/** Envoy has no word for the scheme's own port, but the scheme tells it; the request's port it keeps by itself. */
function defaultPort(action: RedirectAction): number | undefined {
  if (action.port !== "from-protocol-default") return undefined;
  if (action.scheme === "https") return 443;
  return action.scheme === "http" ? 80 : undefined;
}

/** `port` is the word in the route's weft metadata, when it has one. */
export function fromRedirect(
  action: WireRedirect,
  port: RedirectAction["port"],
  path: string,
  reading: Reading,
): RedirectAction {
  if (action.regexRewrite) reading.problem(`${path}.regexRewrite`, "is not supported");
  if (action.stripQuery) reading.problem(`${path}.stripQuery`, "is not supported");
  const status = redirectStatuses[action.responseCode ?? 0];
  if (status === undefined)
    reading.problem(`${path}.responseCode`, `${action.responseCode} is not a redirect status`);
  const scheme = action.httpsRedirect ? "https" : action.schemeRedirect;
  const to = port ?? (action.portRedirect || undefined);
  return {
    kind: "redirect",
    ...(typeof action.pathRedirect === "string" ? { path: action.pathRedirect } : {}),
    ...(typeof action.prefixRewrite === "string" ? { prefix: action.prefixRewrite } : {}),
    ...(action.hostRedirect ? { authority: action.hostRedirect } : {}),
    ...(scheme ? { scheme } : {}),
    ...(to === undefined ? {} : { port: to }),
    status: status ?? 301,
  };
}
