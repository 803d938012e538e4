/** What proves a row of the table of features, or says how it is refused. */
export interface FeatureRow {
  readonly feature: string;
  /** `Kind path`: these fields and all below them. */
  readonly fields?: readonly string[];
  /** Documents that ask for something: a problem tells how it is refused; without one it works. */
  readonly probes?: Readonly<Record<string, string>>;
  /** Tests that show it, for what has no field of its own. */
  readonly tests?: readonly string[];
  /** Tests that show what the probes ask for. */
  readonly shownBy?: readonly string[];
  /** Why there is nothing to accept or refuse. */
  readonly note?: string;
}

const networking = (kind: string, spec: string): string =>
  `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: { name: probe }\nspec: ${spec}\n`;
const rule = (http: string): string => networking("VirtualService", `{ hosts: [a], http: [${http}] }`);
const toA = "route: [{ destination: { host: a } }]";
const envoyFilter = networking("EnvoyFilter", "{}");
const server = (port: string, tls: string): string =>
  networking(
    "Gateway",
    `{ selector: { app: edge }, servers: [{ port: ${port}, hosts: ["*"]${tls === "" ? "" : `, tls: ${tls}`} }] }`,
  );
const tlsMode = (mode: string): string =>
  server("{ number: 443, name: tls, protocol: TLS }", `{ mode: ${mode} }`);
const entry = (fields: string): string => networking("ServiceEntry", `{ hosts: [a.example.com], ${fields} }`);
const other = (apiVersion: string, kind: string): string =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: probe }\nspec: {}\n`;

/** What the best meshes offer to steer traffic, by Istio's words; every row works or is refused by name. */
export const featureRows: Readonly<Record<string, readonly FeatureRow[]>> = {
  "HTTP matching": [
    { feature: "Path: exact, prefix, regex", fields: ["VirtualService http[].match[].uri"] },
    { feature: "Path, whatever its case", fields: ["VirtualService http[].match[].ignoreUriCase"] },
    {
      feature: "Header: exact, prefix, regex, presence",
      fields: ["VirtualService http[].match[].headers{}"],
    },
    { feature: "Header, negative", fields: ["VirtualService http[].match[].withoutHeaders{}"] },
    { feature: "Query parameter", fields: ["VirtualService http[].match[].queryParams{}"] },
    { feature: "Method", fields: ["VirtualService http[].match[].method"] },
    { feature: "Scheme", fields: ["VirtualService http[].match[].scheme"] },
    { feature: "Host", fields: ["VirtualService hosts[]", "VirtualService http[].match[].authority"] },
    { feature: "Port", fields: ["VirtualService http[].match[].port"] },
    { feature: "Labels of the caller", fields: ["VirtualService http[].match[].sourceLabels{}"] },
    { feature: "Namespace of the caller", fields: ["VirtualService http[].match[].sourceNamespace"] },
    { feature: "Gateway", fields: ["VirtualService gateways[]", "VirtualService http[].match[].gateways[]"] },
    {
      feature: "Claim of a token",
      shownBy: ["test/integration/authorization.test.ts"],
      probes: {
        "@request.auth.claims": rule(`{ match: [{ headers: { "@request.auth.claims.a": {} } }], ${toA} }`),
      },
    },
    { feature: "gRPC service and method, as a path", fields: ["VirtualService http[].match[].uri"] },
    { feature: "Cookie, as a header", fields: ["VirtualService http[].match[].headers{}"] },
    {
      feature: "Names of rules and matches",
      fields: ["VirtualService http[].name", "VirtualService http[].match[].name"],
    },
    {
      feature: "Precedence, also over several VirtualServices",
      tests: [
        "test/integration/fields-of-matches.test.ts",
        "control-plane/translate/translate.golden.test.ts",
      ],
    },
    { feature: "Metrics per route", fields: ["VirtualService http[].match[].statPrefix"] },
  ],
  "HTTP actions": [
    { feature: "Weighted split", fields: ["VirtualService http[].route[].weight"] },
    {
      feature: "Versions (subsets)",
      fields: ["VirtualService http[].route[].destination", "DestinationRule subsets[]"],
    },
    { feature: "Redirect", fields: ["VirtualService http[].redirect"] },
    { feature: "Rewrite of path and host", fields: ["VirtualService http[].rewrite"] },
    { feature: "Direct response", fields: ["VirtualService http[].directResponse"] },
    { feature: "Delegate", fields: ["VirtualService http[].delegate"] },
    {
      feature: "Mirror, to one or many",
      fields: [
        "VirtualService http[].mirror",
        "VirtualService http[].mirrors[]",
        "VirtualService http[].mirrorPercentage",
      ],
    },
    {
      feature: "Header operations",
      fields: ["VirtualService http[].headers", "VirtualService http[].route[].headers"],
    },
    { feature: "CORS", fields: ["VirtualService http[].corsPolicy"] },
    {
      feature: "Time-out",
      fields: ["VirtualService http[].timeout", "VirtualService http[].retries.perTryTimeout"],
    },
    { feature: "Retries", fields: ["VirtualService http[].retries"] },
    { feature: "Faults of a rule", fields: ["VirtualService http[].fault"] },
    {
      feature: "HTTP/2, by prior knowledge and ALPN",
      fields: [
        "DestinationRule trafficPolicy.connectionPool.http.h2UpgradePolicy",
        "DestinationRule trafficPolicy.connectionPool.http.useClientProtocol",
      ],
      tests: ["test/conformance/h2spec.test.ts", "test/conformance/http2-threats.test.ts"],
    },
    { feature: "gRPC, all four kinds", tests: ["test/integration/grpc.test.ts"] },
    {
      feature: "WebSocket and other upgrades",
      tests: ["test/integration/proxy.test.ts", "test/integration/websocket.test.ts"],
    },
    {
      feature: "gRPC-Web",
      tests: ["test/integration/grpc-web.test.ts"],
      note: "for ports of protocol GRPC-WEB",
    },
    { feature: "JSON to gRPC", probes: { EnvoyFilter: envoyFilter } },
    { feature: "HTTP/3", probes: { HTTP3: server("{ number: 443, name: quic, protocol: HTTP3 }", "") } },
    {
      feature: "HTTP/1.0",
      tests: ["test/conformance/http1-connection.test.ts", "test/conformance/http1-threats.test.ts"],
      note: "from servers; clients are answered 426",
    },
    { feature: "100-continue", tests: ["test/conformance/http1-threats.test.ts"] },
  ],
  "TCP, TLS and SNI": [
    {
      feature: "TCP routes",
      fields: ["VirtualService tcp[]"],
      tests: ["test/integration/tcp.test.ts", "test/e2e/gateway.test.ts"],
    },
    { feature: "TLS passed on by SNI", fields: ["VirtualService tls[]"] },
    {
      feature: "Half-close and keepalive",
      fields: ["DestinationRule trafficPolicy.connectionPool.tcp.tcpKeepalive"],
      tests: ["proxy/net/splice.test.ts"],
    },
    {
      feature: "PROXY protocol",
      fields: ["DestinationRule trafficPolicy.proxyProtocol"],
      tests: ["proxy/net/proxy-protocol.test.ts", "test/integration/tcp.test.ts"],
      note: "read at gateways; not written to upstreams",
    },
    { feature: "CONNECT tunnel", fields: ["DestinationRule trafficPolicy.tunnel"] },
    { feature: "Protocol by the first bytes", tests: ["proxy/net/client-hello.test.ts"] },
    {
      feature: "Protocol by name",
      fields: ["ServiceEntry ports[].protocol", "Gateway servers[].port.protocol"],
    },
    { feature: "Filters for Redis, MongoDB and MySQL", probes: { EnvoyFilter: envoyFilter } },
  ],
  "Policy of destinations": [
    {
      feature: "Round robin, least request, random, passthrough",
      fields: ["DestinationRule trafficPolicy.loadBalancer.simple"],
    },
    { feature: "By response time (peak EWMA)", tests: ["proxy/cluster/balancers/peak-ewma.test.ts"] },
    {
      feature: "Consistent hash: keys, ring, Maglev",
      fields: ["DestinationRule trafficPolicy.loadBalancer.consistentHash"],
    },
    {
      feature: "Sticky across canaries",
      note: "by a label of Kubernetes Services, which are not read yet; a cookie match or consistent hash does it by rule",
    },
    {
      feature: "Locality: distribute, failover, priority",
      fields: ["DestinationRule trafficPolicy.loadBalancer.localityLbSetting"],
    },
    { feature: "Zone-aware", fields: ["DestinationRule trafficPolicy.loadBalancer.zoneAwareLbSetting"] },
    {
      feature: "Warm-up",
      fields: [
        "DestinationRule trafficPolicy.loadBalancer.warmup",
        "DestinationRule trafficPolicy.loadBalancer.warmupDurationSecs",
      ],
    },
    { feature: "TCP pool", fields: ["DestinationRule trafficPolicy.connectionPool.tcp"] },
    { feature: "HTTP pool", fields: ["DestinationRule trafficPolicy.connectionPool.http"] },
    { feature: "Inbound pool", fields: ["Sidecar inboundConnectionPool"] },
    {
      feature: "Pool and outlier detection for the whole mesh",
      note: "there is no mesh-wide object to say it in; a DestinationRule for `*.local` in the root namespace does it",
    },
    { feature: "Outlier detection", fields: ["DestinationRule trafficPolicy.outlierDetection"] },
    { feature: "TLS to the destination", fields: ["DestinationRule trafficPolicy.tls"] },
    { feature: "Policy of a port", fields: ["DestinationRule trafficPolicy.portLevelSettings[]"] },
    { feature: "Retry budget", fields: ["DestinationRule trafficPolicy.retryBudget"] },
    { feature: "Policy for some callers", fields: ["DestinationRule workloadSelector"] },
    {
      feature: "Who may use it (exportTo)",
      fields: ["VirtualService exportTo[]", "DestinationRule exportTo[]", "ServiceEntry exportTo[]"],
    },
    { feature: "Active health checks", fields: ["HealthCheck http", "HealthCheck tcp", "HealthCheck grpc"] },
    {
      feature: "Circuit breaker with fallback",
      fields: ["CircuitBreaker errorRate", "CircuitBreaker fallback"],
    },
    {
      feature: "Retry words beyond Istio's",
      probes: {
        "retriable-headers": rule(`{ retries: { attempts: 1, retryOn: retriable-headers }, ${toA} }`),
        "http3-post-connect-failure": rule(
          `{ retries: { attempts: 1, retryOn: http3-post-connect-failure }, ${toA} }`,
        ),
      },
    },
  ],
  "Faults, limits, extensions": [
    { feature: "Delay", fields: ["VirtualService http[].fault.delay", "Fault delay"] },
    { feature: "Abort", fields: ["VirtualService http[].fault.abort", "Fault abort"] },
    { feature: "Bandwidth of answers", fields: ["Fault responseBandwidth"] },
    { feature: "Faults of TCP connections", fields: ["Fault tcp"] },
    {
      feature: "Faults that a request asks for",
      fields: ["Fault delay.fromHeader", "Fault abort.fromHeader", "Fault callers[]"],
    },
    { feature: "Fault, retry and time-out on one route", tests: ["proxy/filters/route-service.test.ts"] },
    {
      feature: "Changed bodies, experiments on a schedule",
      probes: { FaultExperiment: other("weft.dev/v1alpha1", "FaultExperiment") },
    },
    { feature: "Rate limit of each proxy", fields: ["RateLimit rules[]", "RateLimit target"] },
    { feature: "Rate limit over all proxies", fields: ["RateLimit global"] },
    {
      feature: "Authorization elsewhere (ext_authz)",
      shownBy: ["test/integration/authorization.test.ts"],
      probes: {
        "AuthorizationPolicy CUSTOM":
          "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: probe }\nspec: { action: CUSTOM, provider: { name: a }, rules: [{}] }\n",
      },
    },
    { feature: "Wasm", probes: { WasmPlugin: other("extensions.istio.io/v1alpha1", "WasmPlugin") } },
    {
      feature: "Lua",
      probes: { TrafficExtension: other("extensions.istio.io/v1alpha1", "TrafficExtension") },
    },
    { feature: "Patches of the proxy's config", probes: { EnvoyFilter: envoyFilter } },
    { feature: "Own code in the proxy", probes: { Filter: other("weft.dev/v1alpha1", "Filter") } },
  ],
  "Ingress, egress, scope": [
    { feature: "Gateway", fields: ["Gateway selector{}", "Gateway servers[]"] },
    {
      feature: "Gateway API",
      probes: {
        HTTPRoute: other("gateway.networking.k8s.io/v1", "HTTPRoute"),
        Gateway: other("gateway.networking.k8s.io/v1", "Gateway"),
      },
    },
    {
      feature: "TLS of a gateway",
      fields: ["Gateway servers[].tls"],
      probes: {
        AUTO_PASSTHROUGH: tlsMode("AUTO_PASSTHROUGH"),
        ISTIO_MUTUAL: tlsMode("ISTIO_MUTUAL"),
      },
    },
    {
      feature: "Hosts that nobody serves",
      fields: ["Sidecar outboundTrafficPolicy"],
      probes: {
        ALLOW_ANY_DYNAMIC_DNS: networking(
          "Sidecar",
          "{ outboundTrafficPolicy: { mode: ALLOW_ANY_DYNAMIC_DNS } }",
        ),
      },
    },
    {
      feature: "Services outside",
      fields: [
        "ServiceEntry hosts[]",
        "ServiceEntry addresses[]",
        "ServiceEntry endpoints[]",
        "ServiceEntry resolution",
        "ServiceEntry location",
        "ServiceEntry subjectAltNames",
      ],
      probes: {
        DNS_ROUND_ROBIN: entry("ports: [{ number: 80, name: http }], resolution: DNS_ROUND_ROBIN"),
        DYNAMIC_DNS: networking(
          "ServiceEntry",
          '{ hosts: ["*.example.com"], ports: [{ number: 80, name: http }], resolution: DYNAMIC_DNS }',
        ),
      },
    },
    {
      feature: "Scope of a sidecar",
      fields: ["Sidecar egress[]", "Sidecar ingress[]", "Sidecar workloadSelector"],
    },
    {
      feature: "Workloads outside of clusters",
      fields: ["WorkloadEntry address", "ServiceEntry workloadSelector"],
    },
    {
      feature: "Groups of workloads",
      probes: { WorkloadGroup: networking("WorkloadGroup", "{}") },
    },
    {
      feature: "DNS of its own",
      tests: ["test/e2e/captured.test.ts", "proxy/dns/dns-server.test.ts"],
      note: "where connections are captured; else apps reach the mesh at their sidecar's port, so no name need be resolved",
    },
    {
      feature: "Connections captured without the apps' knowing",
      tests: [
        "test/e2e/captured.test.ts",
        "test/e2e/matrix.test.ts",
        "test/e2e/databases.test.ts",
        "test/integration/capture.test.ts",
      ],
    },
    { feature: "Several networks by SNI", probes: { AUTO_PASSTHROUGH: tlsMode("AUTO_PASSTHROUGH") } },
  ],
};
