import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { BreakerFallback, CircuitBreakerPolicy } from "../model/circuit-breaker.ts";
import type { Cluster, LoadBalancer } from "../model/cluster.ts";
import type { ConnectionPool, RetryBudget } from "../model/connection-pool.ts";
import type { Endpoint, EndpointSet, Labels } from "../model/endpoint.ts";
import type { GrpcProbe, HealthCheck, HealthProbe, HttpProbe, TcpProbe } from "../model/health-check.ts";
import type { FilterChain, Listener, TcpProxy } from "../model/listener.ts";
import type { ProxyNode } from "../model/node.ts";
import { proxyNodeId } from "../model/node.ts";
import type { OutlierDetection } from "../model/outlier-detection.ts";
import type { RateLimitKeyPart, RateLimitRule } from "../model/rate-limit.ts";
import type {
  FaultPolicy,
  FaultResponseLimit,
  HashPolicy,
  HeaderOperations,
  RedirectAction,
  Route,
  RouteConfiguration,
  VirtualHost,
} from "../model/route.ts";
import type { StringMatch } from "../model/string-match.ts";
import type { TcpFault } from "../model/tcp-fault.ts";
import type { ClientCheck, ClientTls, ServerTls } from "../model/tls.ts";
import { tlsVersions } from "../model/tls.ts";
import { aggregatedDiscoveryService } from "./ads.ts";
import { decodeCluster, encodeCluster } from "./cluster.ts";
import { decodeEndpoints, encodeEndpoints } from "./endpoint.ts";
import { decodeListener, encodeListener } from "./listener.ts";
import { decodeRouteConfiguration, encodeRouteConfiguration } from "./route.ts";

/** A model object with the fields that `optional` names either there or not; the types then have no undefined. */
function record<T extends object>(
  arbitraries: { [K in keyof T]-?: fc.Arbitrary<NonNullable<T[K]>> },
  optional: readonly (keyof T)[] = [],
) {
  const required = (Object.keys(arbitraries) as (keyof T)[]).filter((key) => !optional.includes(key));
  return fc.record(arbitraries as never, { requiredKeys: required as never }) as unknown as fc.Arbitrary<T>;
}

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,11}$/);
const text = fc.string({ minLength: 1, maxLength: 12, unit: "grapheme" });
const labelKey = fc.oneof(word, fc.constantFrom("__proto__", "constructor", "app.kubernetes.io/name"));
const labels: fc.Arbitrary<Labels> = fc
  .array(fc.tuple(labelKey, fc.string({ maxLength: 8 })), { maxLength: 4 })
  .map((pairs) => Object.fromEntries(pairs));
const port = fc.integer({ min: 1, max: 65_535 });
const ms = fc.integer({ min: 1, max: 86_400_000 });
const fraction = fc.integer({ min: 0, max: 1_000_000 }).map((millionths) => millionths / 1e6);

const stringMatch: fc.Arbitrary<StringMatch> = fc.record({
  kind: fc.constantFrom("exact", "prefix", "regex"),
  value: text,
});
const source = record<NonNullable<Route["source"]>>(
  { kind: word, namespace: word, name: word, file: text, line: fc.nat() },
  ["file", "line"],
);
const pair = fc.tuple(fc.stringMatching(/^[A-Za-z][A-Za-z-]{0,8}x$/), fc.string({ maxLength: 8 }));
const pairs = fc.array(pair, { maxLength: 3 });
const headers: fc.Arbitrary<HeaderOperations> = fc.record({
  set: pairs,
  add: pairs,
  remove: fc.array(word, { maxLength: 2 }),
});

const path = fc.oneof(
  fc.constant({ kind: "any" as const }),
  fc.record({
    kind: fc.constantFrom("exact" as const, "prefix" as const),
    value: text.map((tail) => `/x${tail}`),
    ignoreCase: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("regex" as const), value: text }),
);
const headerMatch = record<Route["match"]["headers"][number]>(
  { name: word, match: stringMatch, invert: fc.boolean() },
  ["match"],
);
const queryMatch = record<Route["match"]["queryParams"][number]>({ name: word, match: stringMatch }, [
  "match",
]);
const claimMatch = record<NonNullable<Route["match"]["claims"]>[number]>(
  { path: fc.array(word, { minLength: 1, maxLength: 2 }), match: stringMatch, invert: fc.boolean() },
  ["match"],
);
const match = record<Route["match"]>(
  {
    path,
    method: stringMatch,
    scheme: stringMatch,
    authority: stringMatch,
    headers: fc.array(headerMatch, { maxLength: 3 }),
    queryParams: fc.array(queryMatch, { maxLength: 2 }),
    claims: fc.array(claimMatch, { minLength: 1, maxLength: 2 }),
  },
  ["method", "scheme", "authority", "claims"],
);

const retry = record<NonNullable<Extract<Route["action"], { kind: "forward" }>["retry"]>>(
  {
    attempts: fc.nat({ max: 10 }),
    perTryTimeoutMs: ms,
    perTryIdleTimeoutMs: ms,
    on: fc.array(word, { maxLength: 3 }).map((words) => [...words, "retriable-status-codes"]),
    statusCodes: fc.array(fc.integer({ min: 400, max: 599 }), { maxLength: 3 }),
    baseIntervalMs: fc.integer({ min: 1, max: 100 }),
    maxIntervalMs: fc.integer({ min: 100, max: 1000 }),
    mayRepeatHost: fc.constant(true),
    leavesPriority: fc.constant(true),
  },
  ["perTryTimeoutMs", "perTryIdleTimeoutMs", "mayRepeatHost", "leavesPriority"],
);
const named = fc.constantFrom("header" as const, "query" as const);
const rateLimit = record<RateLimitRule>(
  {
    name: word,
    key: fc.array(
      fc.oneof(
        fc.record({ kind: named, name: word }),
        fc.record({
          kind: fc.constantFrom(
            "path",
            "method",
            "host",
            "source-address",
            "source-workload",
            "source-identity",
          ),
        }) as fc.Arbitrary<RateLimitKeyPart>,
      ),
      { maxLength: 3 },
    ),
    requests: fc.integer({ min: 1, max: 1e9 }),
    perMs: ms,
    burst: fc.integer({ min: 1, max: 1e9 }),
    maxKeys: fc.integer({ min: 1, max: 1e6 }),
    global: fc.constant(true as const),
  },
  ["global"],
);
const fallback: fc.Arbitrary<BreakerFallback> = fc.oneof(
  fc.record({
    kind: fc.constant("direct-response" as const),
    status: fc.integer({ min: 200, max: 599 }),
    body: fc.string(),
    headers: pairs,
  }),
  fc.record({ kind: fc.constant("destination" as const), destination: word }),
  fc.record({
    kind: fc.constant("last-good-response" as const),
    maxAgeMs: ms,
    maxBytes: fc.integer({ min: 1, max: 1e9 }),
    vary: fc.array(word, { maxLength: 2 }),
  }),
);
const breaker = record<CircuitBreakerPolicy>(
  {
    name: word,
    errorRate: fraction,
    slowCalls: fc.record({ rate: fraction, durationMs: ms }),
    volumeThreshold: fc.integer({ min: 1, max: 1e6 }),
    windowMs: ms,
    resetMs: ms,
    probes: fc.integer({ min: 1, max: 100 }),
    errors: fc.array(word, { minLength: 1, maxLength: 3 }),
    fallback,
  },
  ["slowCalls", "fallback"],
);
const destination = record<Extract<Route["action"], { kind: "forward" }>["destinations"][number]>(
  {
    destination: word,
    weight: fc.integer({ min: 1, max: 100 }),
    requestHeaders: headers,
    responseHeaders: headers,
    breaker,
  },
  ["breaker"],
);
const hashPolicy = fc.oneof(
  fc.record({ kind: fc.constant("header" as const), name: word }),
  record<Extract<HashPolicy, { kind: "cookie" }>>(
    {
      kind: fc.constant("cookie"),
      name: word,
      path: word,
      ttlMs: fc.nat({ max: 1_000_000 }),
      attributes: fc.array(fc.tuple(word, fc.oneof(fc.constant(""), word)), { minLength: 1, maxLength: 2 }),
    },
    ["path", "ttlMs"],
  ),
  fc.record({ kind: fc.constant("source-ip" as const) }),
  fc.record({ kind: fc.constant("query-parameter" as const), name: word }),
) as fc.Arbitrary<HashPolicy>;
const forward = record<Extract<Route["action"], { kind: "forward" }>>(
  {
    kind: fc.constant("forward"),
    destinations: fc.uniqueArray(destination, {
      minLength: 1,
      maxLength: 4,
      selector: (entry) => entry.destination,
    }),
    rewrite: fc.oneof(
      fc.record({ prefix: text }),
      fc.record({ regex: fc.record({ pattern: text, substitution: text }), authority: word }),
      fc.record({ authority: word }),
    ),
    timeoutMs: ms,
    retry,
    hashPolicies: fc.array(hashPolicy, { minLength: 1, maxLength: 3 }),
    mirrors: fc.array(fc.record({ destination: word, fraction, shadowHostSuffix: fc.boolean() }), {
      maxLength: 2,
    }),
  },
  ["rewrite", "timeoutMs", "retry"],
);
const redirectTo = record<RedirectAction>(
  {
    kind: fc.constant("redirect"),
    path: text,
    authority: word,
    scheme: fc.constantFrom("http", "https"),
    port: fc.oneof(port, fc.constantFrom("from-protocol-default" as const, "from-request-port" as const)),
    status: fc.constantFrom(301, 302, 303, 307, 308),
  } as never,
  ["path", "authority", "scheme", "port"],
);
const direct = fc.record({
  kind: fc.constant("direct-response" as const),
  status: fc.integer({ min: 200, max: 599 }),
  body: fc.uint8Array({ maxLength: 20 }),
});
const fault = record<FaultPolicy>(
  {
    delay: fc.oneof(
      fc.record({ fraction, kind: fc.constantFrom("fixed" as const, "exponential" as const), ms }),
      fc.record({ fraction, kind: fc.constant("header" as const) }),
    ),
    abort: fc.oneof(
      fc.record({ fraction, fromHeader: fc.constant(true as const) }),
      fc.record({ fraction, httpStatus: fc.integer({ min: 200, max: 599 }) }),
      fc.record({ fraction, grpcStatus: fc.constantFrom("UNAVAILABLE", "OK", "DATA_LOSS") }),
    ),
    responseLimit: record<FaultResponseLimit>(
      { fraction, kibPerSecond: fc.integer({ min: 1, max: 1_000_000 }) },
      ["kibPerSecond"],
    ),
    maxActive: fc.nat({ max: 1000 }),
  },
  ["delay", "abort", "responseLimit", "maxActive"],
);
const cors = record<NonNullable<Route["cors"]>>(
  {
    allowOrigins: fc.array(stringMatch, { maxLength: 2 }),
    allowMethods: fc.array(fc.constantFrom("GET", "POST"), { maxLength: 2 }),
    allowHeaders: fc.array(word, { maxLength: 2 }),
    exposeHeaders: fc.array(word, { maxLength: 2 }),
    maxAgeSeconds: fc.nat({ max: 86_400 }),
    allowCredentials: fc.boolean(),
    forwardUnmatchedPreflights: fc.boolean(),
  },
  ["maxAgeSeconds"],
);
const route = record<Route>(
  {
    name: word,
    source,
    match,
    action: fc.oneof(forward, redirectTo, direct) as fc.Arbitrary<Route["action"]>,
    requestHeaders: headers,
    responseHeaders: headers,
    cors,
    fault,
    rateLimits: fc.array(rateLimit, { minLength: 1, maxLength: 2 }),
  },
  ["source", "cors", "fault", "rateLimits"],
);
const virtualHost: fc.Arbitrary<VirtualHost> = fc.record({
  name: word,
  domains: fc.array(word, { minLength: 1, maxLength: 3 }),
  routes: fc.array(route, { maxLength: 3 }),
});
const configuration: fc.Arbitrary<RouteConfiguration> = fc.record({
  name: word,
  virtualHosts: fc.array(virtualHost, { maxLength: 3 }),
  vhds: fc.boolean(),
});

const workload = fc.record({ name: word, namespace: word, serviceAccount: word, labels });
const endpoint = record<Endpoint>(
  {
    address: fc.ipV4(),
    port,
    weight: fc.integer({ min: 1, max: 1000 }),
    health: fc.constantFrom("healthy", "unhealthy", "draining"),
    workload,
    tlsMode: fc.constant("istio"),
    locality: fc.record({ region: word, zone: word, subzone: fc.string({ maxLength: 3 }) }),
    priority: fc.integer({ min: 1, max: 3 }),
    localityWeight: fc.integer({ min: 1_000_000, max: 2_000_000 }),
  },
  ["workload", "tlsMode", "locality", "priority", "localityWeight"],
);
/** Grouped by locality, priority and weight, as endpoints come out again. */
const endpoints = fc
  .array(endpoint, { maxLength: 6 })
  .map((list) =>
    [
      ...Map.groupBy(list, ({ locality, priority, localityWeight }) =>
        JSON.stringify([locality, priority, localityWeight]),
      ).values(),
    ].flat(),
  );
const count = fc.integer({ min: 1, max: 1000 });
const keepalive = record<NonNullable<ConnectionPool["tcpKeepalive"]>>(
  { probes: count, timeSeconds: count, intervalSeconds: count },
  ["probes", "timeSeconds", "intervalSeconds"],
);
const limits = {
  maxConnections: count,
  maxPendingRequests: count,
  maxRequests: count,
  maxRetries: fc.nat({ max: 10 }),
  maxRequestsPerConnection: count,
  idleTimeoutMs: ms,
  maxConnectionDurationMs: ms,
  tcpKeepalive: keepalive,
  maxConcurrentStreams: count,
  http2Keepalive: fc.record({ intervalMs: ms, timeoutMs: ms }),
  sharesConnections: fc.constant(false as const),
};
const connectionPool = record<ConnectionPool>(limits, Object.keys(limits) as (keyof ConnectionPool)[]).filter(
  (pool) => Object.keys(pool).length > 0,
);
/** Only what may come to speak HTTP/2 carries its limits. */
function http1Has({ connectionPool: pool, ...rest }: Cluster): Cluster {
  if (pool === undefined || rest.protocol !== undefined)
    return { ...rest, ...(pool && { connectionPool: pool }) };
  const { maxConcurrentStreams: _, http2Keepalive: __, ...others } = pool;
  return { ...rest, ...(Object.keys(others).length > 0 && { connectionPool: others }) };
}
const percent = fc.integer({ min: 0, max: 100 });
const outlierDetection = record<OutlierDetection>(
  {
    consecutive5xx: fc.nat({ max: 10 }),
    consecutiveGatewayErrors: fc.nat({ max: 10 }),
    splitLocalOrigin: fc.boolean(),
    consecutiveLocalOriginFailures: fc.nat({ max: 10 }),
    intervalMs: ms,
    baseEjectionMs: ms,
    maxEjectionPercent: percent,
    minHealthPercent: percent,
    errorStatuses: fc.array(fc.integer({ min: 100, max: 599 }), { minLength: 1, maxLength: 3 }),
  },
  ["errorStatuses"],
);
const statusRanges = fc.array(
  fc.integer({ min: 100, max: 500 }).map((start) => ({ start, end: start + 100 })),
  { minLength: 1, maxLength: 2 },
);
const hex = fc.constantFrom("00", "50494e47", "ff0a");
const healthProbe = fc.oneof(
  record<HttpProbe>(
    {
      kind: fc.constant("http" as const),
      path: word.map((name) => `/${name}`),
      method: fc.constantFrom("GET", "HEAD", "POST"),
      host: word,
      headers: fc.array(fc.tuple(word, word), { maxLength: 2 }),
      speaksHttp2: fc.constant(true as const),
      expectedStatuses: statusRanges,
      retriableStatuses: statusRanges,
    },
    ["host", "speaksHttp2"],
  ),
  record<TcpProbe>(
    { kind: fc.constant("tcp" as const), send: hex, receive: fc.array(hex, { maxLength: 2 }) },
    ["send"],
  ),
  record<GrpcProbe>({ kind: fc.constant("grpc" as const), service: word, authority: word }, ["authority"]),
) as fc.Arbitrary<HealthProbe>;
const healthCheck = record<HealthCheck>(
  {
    probe: healthProbe,
    intervalMs: fc.integer({ min: 1, max: 100_000 }),
    unhealthyIntervalMs: ms,
    noTrafficIntervalMs: ms,
    intervalJitterMs: ms,
    intervalJitterPercent: percent,
    initialJitterMs: ms,
    timeoutMs: fc.integer({ min: 1, max: 100_000 }),
    healthyThreshold: count,
    unhealthyThreshold: count,
    reusesConnection: fc.boolean(),
    minHealthPercent: percent,
    endsEjection: fc.constant(true as const),
  },
  ["unhealthyIntervalMs", "endsEjection"],
);
const retryBudget = record<RetryBudget>(
  {
    fraction: percent.map((value) => value / 100),
    minConcurrency: fc.nat({ max: 10 }),
    intervalMs: ms,
  },
  ["intervalMs"],
);
const warmup = fc.record({
  durationMs: fc.integer({ min: 1, max: 1_000_000 }),
  minimumPercent: percent,
  aggression: fc.integer({ min: 1, max: 9 }),
});
const loadBalancer = fc.oneof(
  record<LoadBalancer>(
    {
      kind: fc.constantFrom("round-robin", "least-request", "peak-ewma"),
      warmup,
      weighsLocalities: fc.constant(true),
    } as never,
    ["warmup", "weighsLocalities"],
  ),
  fc.record({ kind: fc.constantFrom("random" as const, "passthrough" as const) }),
  fc.record({ kind: fc.constant("ring-hash" as const), minimumRingSize: fc.nat({ max: 8_388_608 }) }),
  fc.record({ kind: fc.constant("maglev" as const), tableSize: fc.constantFrom(251, 65_537, 5_000_011) }),
) as fc.Arbitrary<LoadBalancer>;
const file = word.map((name) => `/etc/${name}.pem`);
const keyPair = fc.record({ certificateFile: file, privateKeyFile: file });
const spiffeIds = fc.array(
  word.map((name) => `spiffe://${name}/a`),
  { maxLength: 2 },
);
const identityTls = record<Omit<ClientTls, "caFile" | "certificate">>(
  {
    identity: fc.constant(true as const),
    sni: word,
    subjectAltNames: spiffeIds,
    insecureSkipVerify: fc.constant(false),
  },
  ["sni"],
);
const fileTls = record<Omit<ClientTls, "identity">>(
  {
    sni: word,
    caFile: file,
    certificate: keyPair,
    subjectAltNames: fc.oneof(
      fc.constant([]),
      fc.array(
        word.map((name) => `spiffe://${name}`),
        { minLength: 1, maxLength: 2 },
      ),
    ),
    insecureSkipVerify: fc.constant(false),
  },
  ["sni", "caFile", "certificate"],
);
const clientTls: fc.Arbitrary<ClientTls> = fc.oneof(identityTls, fileTls);
const trustDomain = fc.stringMatching(/^[a-z0-9][a-z0-9.]{0,6}$/);
const serverIdentity = fc.record({
  identity: fc.record({ trustDomains: fc.array(trustDomain, { maxLength: 2 }) }),
  cipherSuites: fc.constant([]),
});
const clientCheck = record<ClientCheck>(
  {
    isOptional: fc.constant(true as const),
    subjectAltNames: fc.array(word, { minLength: 1, maxLength: 2 }),
    certificateHashes: fc.array(fc.stringMatching(/^[0-9a-f]{64}$/), { minLength: 1, maxLength: 2 }),
    keyHashes: fc.array(word, { minLength: 1, maxLength: 2 }),
    crlFile: word,
  },
  ["isOptional", "subjectAltNames", "certificateHashes", "keyHashes", "crlFile"],
);
const serverFileTls: fc.Arbitrary<ServerTls> = fc
  .tuple(
    record<Pick<ServerTls, "minVersion" | "maxVersion" | "cipherSuites">>(
      {
        minVersion: fc.constantFrom(...tlsVersions),
        maxVersion: fc.constantFrom(...tlsVersions),
        cipherSuites: fc.array(word, { maxLength: 2 }),
      },
      ["minVersion", "maxVersion"],
    ),
    fc.oneof(
      fc.record({ certificate: keyPair }),
      fc.record({
        certificate: keyPair,
        moreCertificates: fc.array(keyPair, { minLength: 1, maxLength: 2 }),
      }),
      fc.record({ secret: word }),
    ),
    fc.oneof(fc.record({ clientCaFile: word }), fc.record({ clientCaSecret: word }), fc.constant({})),
    clientCheck,
  )
  .map(([head, certificate, authorities, client]) => {
    const asks = Object.keys(authorities).length > 0 && Object.keys(client).length > 0;
    return { ...head, ...certificate, ...authorities, ...(asks ? { client } : {}) };
  });
const serverTls: fc.Arbitrary<ServerTls> = fc.oneof(serverIdentity, serverFileTls);
const tcpFault = record<TcpFault>(
  {
    delay: fc.record({ fraction, ms }),
    reset: fc.record({ fraction, afterMs: ms }),
    limit: fc.record({ fraction, kibPerSecond: fc.integer({ min: 1, max: 1_000_000 }) }),
  },
  ["delay", "reset", "limit"],
);
const anyCluster = record<Cluster>(
  {
    name: word,
    discovery: fc.oneof(
      fc.constant({ kind: "eds" as const }),
      fc.record({ kind: fc.constantFrom("static" as const, "dns" as const), endpoints }),
      fc.record({ kind: fc.constant("dns" as const), endpoints, isLogical: fc.constant(true as const) }),
      fc.constant({ kind: "original-dst" as const }),
    ) as fc.Arbitrary<Cluster["discovery"]>,
    loadBalancer,
    connectTimeoutMs: ms,
    connectionPool,
    outlierDetection,
    healthCheck,
    retryBudget,
    tcpFault,
    tls: clientTls,
    mutualTls: identityTls,
    protocol: fc.constantFrom("http2" as const, "client" as const),
    translatesGrpcWeb: fc.constant(true as const),
    bindAddresses: fc.tuple(fc.ipV4(), fc.ipV6()),
    source,
    service: fc.record({ hostname: word, name: word, namespace: word }),
    subset: word,
  },
  [
    "connectionPool",
    "outlierDetection",
    "healthCheck",
    "retryBudget",
    "tcpFault",
    "tls",
    "mutualTls",
    "protocol",
    "translatesGrpcWeb",
    "bindAddresses",
    "source",
    "service",
    "subset",
  ],
);
/** Envoy has one panic threshold, and says with outlier detection what a check ends. */
function joinHealth({ outlierDetection, healthCheck: check, ...rest }: Cluster): Cluster {
  if (check === undefined) return { ...rest, ...(outlierDetection && { outlierDetection }) };
  const { endsEjection: _, ...plain } = check;
  if (outlierDetection === undefined) return { ...rest, healthCheck: plain };
  const { minHealthPercent } = check;
  return { ...rest, healthCheck: check, outlierDetection: { ...outlierDetection, minHealthPercent } };
}

/** Requests to original-dst clusters name their address, so there is nothing to balance. */
const cluster = anyCluster
  .map(joinHealth)
  .map(http1Has)
  .map((made) =>
    made.discovery.kind === "original-dst"
      ? { ...made, loadBalancer: { kind: "passthrough" as const } }
      : made,
  );
const cidrs = fc.uniqueArray(fc.constantFrom("10.0.0.0/8", "192.168.1.7", "::1", "fd00::/8"), {
  minLength: 1,
  maxLength: 2,
});
const chainHead = record<Omit<FilterChain, "http" | "tcp">>(
  {
    name: word,
    destinationPort: port,
    destinationCidrs: cidrs,
    sourceCidrs: cidrs,
    serverNames: fc.array(word, { minLength: 1, maxLength: 2 }),
    transport: fc.constant("raw" as const),
    applicationProtocols: fc.array(word, { minLength: 1, maxLength: 2 }),
    source,
    tls: serverTls,
  },
  [
    "destinationPort",
    "destinationCidrs",
    "sourceCidrs",
    "serverNames",
    "transport",
    "applicationProtocols",
    "source",
    "tls",
  ],
);
const filterChain: fc.Arbitrary<FilterChain> = fc.oneof(
  fc
    .tuple(
      chainHead,
      fc.record({
        statPrefix: word,
        routes: fc.oneof(
          fc.record({ kind: fc.constant("rds" as const), routeConfigName: word }),
          fc.record({ kind: fc.constant("inline" as const), configuration }),
        ),
      }),
    )
    .map(([head, http]) => ({ ...head, http })),
  fc
    .tuple(
      chainHead,
      word,
      fc.array(word, { minLength: 2, maxLength: 3 }),
      record<Pick<TcpProxy, "idleTimeoutMs" | "maxConnectionDurationMs" | "hashesBySource">>(
        {
          idleTimeoutMs: fc.nat(86_400_000),
          maxConnectionDurationMs: ms,
          hashesBySource: fc.constant(true as const),
        },
        ["idleTimeoutMs", "maxConnectionDurationMs", "hashesBySource"],
      ),
    )
    .map(([head, statPrefix, clusters, times]) => ({
      ...head,
      tcp: {
        statPrefix,
        destinations: clusters.map((cluster, at) => ({ cluster, weight: at + 1 })),
        ...times,
      },
    })),
);
const dnsDomain = fc.record({
  name: fc.oneof(
    fc.domain(),
    fc.domain().map((suffix) => `*.${suffix}`),
  ),
  addresses: fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { minLength: 1, maxLength: 3 }),
  ttlSeconds: fc.integer({ min: 30, max: 86_400 }),
});
const dnsListener = record<
  Omit<Listener, "bindsPort" | "usesOriginalDestination" | "expectsProxyHeader" | "source">
>(
  {
    name: word,
    address: fc.ipV4(),
    port,
    direction: fc.constant("outbound"),
    filterChains: fc.constant([]),
    dns: fc.record({ domains: fc.array(dnsDomain, { maxLength: 5 }) }),
  },
  [],
);
const tcpListener = record<Omit<Listener, "dns">>(
  {
    name: word,
    address: fc.ipV4(),
    port,
    direction: fc.constantFrom("outbound", "inbound", "gateway"),
    filterChains: fc.array(filterChain, { minLength: 1, maxLength: 3 }),
    bindsPort: fc.constant(false as const),
    usesOriginalDestination: fc.constant(true as const),
    expectsProxyHeader: fc.constant(true as const),
    source,
  },
  ["bindsPort", "usesOriginalDestination", "expectsProxyHeader", "source"],
);
const listener = fc.oneof(tcpListener, dnsListener);

describe("a resource that goes to bytes and back", () => {
  it("is the same route configuration", () => {
    fc.assert(
      fc.property(configuration, (model) => {
        expect(decodeRouteConfiguration(encodeRouteConfiguration(model))).toEqual({ ok: true, value: model });
      }),
      { numRuns: 300 },
    );
  });

  it("is the same cluster", () => {
    fc.assert(
      fc.property(cluster, (model) => {
        expect(decodeCluster(encodeCluster(model))).toEqual({ ok: true, value: model });
      }),
      { numRuns: 300 },
    );
  });

  it("is the same listener", () => {
    fc.assert(
      fc.property(listener, (model) => {
        expect(decodeListener(encodeListener(model))).toEqual({ ok: true, value: model });
      }),
    );
  });

  it("is the same set of endpoints", () => {
    fc.assert(
      fc.property(word, endpoints, (name, list) => {
        const set: EndpointSet = { cluster: name, endpoints: list };
        expect(decodeEndpoints(encodeEndpoints(set))).toEqual({ ok: true, value: set });
      }),
    );
  });

  it("never throws on arbitrary bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const decode of [decodeCluster, decodeEndpoints, decodeListener, decodeRouteConfiguration]) {
          expect(typeof decode(bytes).ok).toBe("boolean");
        }
      }),
      { numRuns: 500 },
    );
  });

  it("never throws on a resource that was damaged on the way", () => {
    fc.assert(
      fc.property(configuration, fc.nat(), fc.integer({ min: 0, max: 255 }), (model, at, byte) => {
        const bytes = encodeRouteConfiguration(model);
        bytes[at % bytes.length] = byte;
        expect(typeof decodeRouteConfiguration(bytes).ok).toBe("boolean");
      }),
      { numRuns: 300 },
    );
  });
});

describe("a node that introduces itself", () => {
  const bindings = record<ProxyNode["bindings"]>(
    {
      outbound: fc.record({ host: fc.ipV4(), port }),
      inbound: fc.record({ host: fc.ipV4(), port }),
      app: fc.record({ host: fc.ipV4(), port }),
      servers: fc
        .array(fc.tuple(port, fc.record({ host: fc.ipV4(), port })), { maxLength: 3 })
        .map((list) => new Map(list)) as never,
      captures: fc.constant(true as const),
      dns: fc.array(fc.record({ host: fc.ipV4(), port }), { minLength: 1, maxLength: 2 }),
    },
    ["outbound", "inbound", "app", "captures", "dns"],
  );

  it("is the same node at the other end", () => {
    const anyNode = fc.record({
      kind: fc.constantFrom("sidecar" as const, "gateway" as const),
      name: word,
      namespace: word,
      serviceAccount: word,
      labels,
      bindings,
    });
    const { requestSerialize, requestDeserialize } = aggregatedDiscoveryService.DeltaAggregatedResources;
    fc.assert(
      fc.property(anyNode, (parts) => {
        const proxy: ProxyNode = { ...parts, id: proxyNodeId(parts, "127.0.0.1") };
        const request = {
          typeUrl: "t",
          subscribe: [],
          unsubscribe: [],
          initialVersions: new Map(),
          responseNonce: "",
        };
        const { peer } = requestDeserialize(
          requestSerialize({ ...request, node: { proxy, version: "1.2" } }),
        );
        expect(peer).toEqual({ node: proxy, client: "weft", clientVersion: "1.2" });
      }),
    );
  });
});
