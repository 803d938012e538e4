import { describe, expect, it } from "vitest";
import { decodeCluster } from "./cluster.ts";
import { decodeEndpoints } from "./endpoint.ts";
import messages from "./generated/messages.js";
import { decodeListener } from "./listener.ts";
import { decodeVirtualHost } from "./route.ts";
import { packAny } from "./wire.ts";

type WireMatch = messages.envoy.config.route.v3.RouteMatch;
type WireRoute = messages.envoy.config.route.v3.Route;
type WireHeader = messages.envoy.config.route.v3.HeaderMatcher;

const { VirtualHost } = messages.envoy.config.route.v3;

/** A field as it looks on the wire; protobufjs passes it through, and so plays a newer control plane. */
function unknownField(number: number, bytes: readonly number[] = []): Uint8Array[] {
  const tag = (number << 3) | 2;
  const key = tag < 128 ? [tag] : [(tag & 127) | 128, tag >> 7];
  return [Uint8Array.from([...key, bytes.length, ...bytes])];
}

function problemsOf(route: WireRoute): string[] {
  const complete: WireRoute = { match: { prefix: "/" }, route: { cluster: "a" }, ...route };
  const bytes = VirtualHost.encode({ name: "h", domains: ["*"], routes: [complete] }).finish();
  const result = decodeVirtualHost(bytes);
  return result.ok ? [] : result.problems.map(({ path, why }) => `${path}: ${why}`);
}

function problemsOfMatch(match: WireMatch): string[] {
  return problemsOf({ match: { prefix: "/", ...match } });
}

function problemsOfHeader(header: WireHeader): string[] {
  return problemsOfMatch({ headers: [{ name: "x", ...header }] });
}

describe("case 50: a predicate that this version does not understand", () => {
  it("is a problem with its path, whether it is a field of tomorrow or one that we left out", () => {
    expect(problemsOfMatch({ $unknowns: unknownField(99) })).toEqual([
      expect.stringMatching(
        /^routes\[0\]\.match: field 99 of envoy.config.route.v3.RouteMatch is not understood/,
      ),
    ]);
    expect(problemsOfMatch({ $unknowns: unknownField(8) })[0]).toMatch(/^routes\[0\]\.match: grpc of /);
    expect(problemsOfMatch({ runtimeFraction: {} })[0]).toMatch(/^routes\[0\]\.match\.runtimeFraction: /);
  });

  it("never becomes a match of everything: a missing path comparison", () => {
    expect(problemsOf({ match: {} })[0]).toMatch(/has no path comparison/);
    expect(problemsOf({ match: null })[0]).toMatch(/^routes\[0\]\.match: is missing/);
    expect(problemsOf({ match: { $unknowns: unknownField(15) } })[0]).toMatch(/pathMatchPolicy/);
  });

  it("never becomes presence: an unknown way to compare a header", () => {
    expect(problemsOfHeader({ rangeMatch: { start: 1, end: 5 } })[0]).toMatch(/headers\[0\]\.rangeMatch: /);
    expect(problemsOfHeader({ stringMatch: { $unknowns: unknownField(8) } })).toEqual([
      expect.stringMatching(/stringMatch: custom of /),
      expect.stringMatching(/stringMatch: has no comparison/),
    ]);
    expect(problemsOfHeader({ stringMatch: { exact: "a" }, treatMissingHeaderAsEmpty: true })[0]).toMatch(
      /inverted/,
    );
    expect(problemsOfHeader({ name: ":path", presentMatch: true })[0]).toMatch(/cannot test :path/);
  });

  it("is refused in filters as well, because a skipped filter may be the one that denies", () => {
    const any = {
      type_url: "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
      value: new Uint8Array(),
    };
    expect(problemsOf({ typedPerFilterConfig: { rbac: any } })[0]).toMatch(
      /a filter of type "envoy.*RBACPerRoute"/,
    );
  });
});

describe("Envoy's other words for what the model knows", () => {
  const headersOf = (header: WireHeader) => {
    const bytes = VirtualHost.encode({
      name: "h",
      domains: ["A.Example"],
      routes: [{ match: { prefix: "/", headers: [{ name: "X-Y", ...header }] }, route: { cluster: "a" } }],
    }).finish();
    const result = decodeVirtualHost(bytes);
    return result.ok ? result.value.routes[0]?.match.headers : result.problems;
  };

  it("are read with the same meaning", () => {
    const name = "x-y";
    expect(headersOf({ exactMatch: "a.b" })).toEqual([
      { name, match: { kind: "exact", value: "a.b" }, invert: false },
    ]);
    expect(headersOf({ suffixMatch: ".b" })).toEqual([
      { name, match: { kind: "regex", value: "(?s).*\\.b" }, invert: false },
    ]);
    expect(headersOf({ stringMatch: { contains: "a+" } })).toEqual([
      { name, match: { kind: "regex", value: "(?s).*a\\+.*" }, invert: false },
    ]);
    expect(headersOf({ stringMatch: { exact: "A", ignoreCase: true } })).toEqual([
      { name, match: { kind: "regex", value: "(?i)A" }, invert: false },
    ]);
    expect(headersOf({ presentMatch: false })).toEqual([{ name, invert: true }]);
    expect(headersOf({})).toEqual([{ name, invert: false }]);
  });

  it("keep Envoy's meaning of an inverted comparison, which still needs the header", () => {
    expect(headersOf({ stringMatch: { exact: "a" }, invertMatch: true })).toEqual([
      { name: "x-y", invert: false },
      { name: "x-y", match: { kind: "exact", value: "a" }, invert: true },
    ]);
  });

  it("bring Envoy's defaults: 15 s for a route without a time-out", () => {
    const bytes = VirtualHost.encode({
      name: "h",
      domains: ["*"],
      routes: [{ match: { prefix: "/" }, route: { cluster: "a" } }],
    }).finish();
    expect(decodeVirtualHost(bytes)).toMatchObject({
      value: { routes: [{ action: { timeoutMs: 15_000 } }] },
    });
  });
});

describe("other resources", () => {
  const { Cluster } = messages.envoy.config.cluster.v3;
  const { Listener } = messages.envoy.config.listener.v3;
  const { ClusterLoadAssignment } = messages.envoy.config.endpoint.v3;
  const address = { socketAddress: { address: "127.0.0.1", portValue: 80 } };

  it("refuse a cluster whose TLS settings would be lost", () => {
    const { UpstreamTlsContext } = messages.envoy.extensions.transport_sockets.tls.v3;
    const type = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    const problemsOf = (typedConfig: ReturnType<typeof packAny>) => {
      const transportSocket = { name: "tls", typedConfig };
      const decoded = decodeCluster(Cluster.encode({ name: "a", type: 0, transportSocket }).finish());
      return decoded.ok ? [] : decoded.problems.map(({ path, why }) => `${path}: ${why}`);
    };
    expect(problemsOf({ type_url: "x/envoy.alts", value: new Uint8Array() })).toEqual([
      'transportSocket: the transport socket "envoy.alts" is not supported',
    ]);
    const validationContext = {
      trustedCa: { inlineString: "PEM" },
      verifyCertificateHash: ["aa"],
      matchTypedSubjectAltNames: [{ sanType: 2 as const, matcher: { prefix: "a" } }],
    };
    const context = { commonTlsContext: { validationContext, $unknowns: unknownField(14) } };
    expect(problemsOf(packAny(type, UpstreamTlsContext, context))).toEqual([
      expect.stringMatching(/^transportSocket.commonTlsContext: tlsCertificateProviderInstance of/),
      "transportSocket.validationContext.verifyCertificateHash: is not supported",
      "transportSocket.validationContext.trustedCa: must be a file name",
      "transportSocket.validationContext.matchTypedSubjectAltNames[0]: only exact names are supported",
    ]);
  });

  it("refuse secrets other than the workload's own, and names that are no SPIFFE IDs of whole trust domains", () => {
    const { UpstreamTlsContext, DownstreamTlsContext } = messages.envoy.extensions.transport_sockets.tls.v3;
    const room = "envoy.extensions.transport_sockets.tls.v3";
    const common = (certificate: string, prefix: string) => ({
      commonTlsContext: {
        tlsCertificateSdsSecretConfigs: [{ name: certificate }],
        combinedValidationContext: {
          defaultValidationContext: {
            matchTypedSubjectAltNames: [{ sanType: 3 as const, matcher: { prefix } }],
          },
          validationContextSdsSecretConfig: { name: "ROOTCA" },
        },
      },
    });
    const clusterProblems = (certificate: string, prefix: string) => {
      const typedConfig = packAny(
        `${room}.UpstreamTlsContext`,
        UpstreamTlsContext,
        common(certificate, prefix),
      );
      const transportSocket = { name: "tls", typedConfig };
      const decoded = decodeCluster(Cluster.encode({ name: "a", type: 0, transportSocket }).finish());
      return decoded.ok ? [] : decoded.problems.map(({ path, why }) => `${path}: ${why}`);
    };
    expect(clusterProblems("kubernetes://shop", "")).toEqual([
      'transportSocket.commonTlsContext.tlsCertificateSdsSecretConfigs: secrets other than "default" with "ROOTCA" are not supported',
    ]);
    expect(clusterProblems("default", "spiffe://a/")).toEqual([
      expect.stringMatching(/matchTypedSubjectAltNames\[0\]: only exact names are supported/),
    ]);
    const context = common("default", "spiffe://a");
    const typedConfig = packAny(`${room}.DownstreamTlsContext`, DownstreamTlsContext, context);
    const decoded = decodeListener(
      Listener.encode({
        name: "a",
        address,
        filterChains: [{ transportSocket: { name: "tls", typedConfig } }],
      }).finish(),
    );
    expect(decoded.ok ? [] : decoded.problems.map(({ why }) => why)).toEqual(
      expect.arrayContaining([
        "is supported as the prefix spiffe://TRUST-DOMAIN/ only",
        "must be true within the mesh",
      ]),
    );
  });

  it("take a cluster that Envoy would not verify as one", () => {
    const { UpstreamTlsContext } = messages.envoy.extensions.transport_sockets.tls.v3;
    const type = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    const transportSocket = { name: "tls", typedConfig: packAny(type, UpstreamTlsContext, { sni: "a" }) };
    expect(decodeCluster(Cluster.encode({ name: "a", type: 0, transportSocket }).finish())).toMatchObject({
      value: { tls: { sni: "a", subjectAltNames: [], insecureSkipVerify: true } },
    });
  });

  it("refuse a balancer that is not there", () => {
    expect(decodeCluster(Cluster.encode({ name: "a", type: 0, lbPolicy: 7 }).finish())).toMatchObject({
      problems: [{ path: "lbPolicy" }],
    });
  });

  it("refuse a filter chain that is chosen by what is not known here, or that does something else than HTTP and TCP", () => {
    const manager =
      messages.envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager;
    const type = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    const http = {
      name: "http",
      typedConfig: packAny(type, manager, {
        statPrefix: "x",
        rds: { routeConfigName: "r", configSource: { ads: {} } },
      }),
    };
    const filterChainMatch = {
      serverNames: ["a"],
      suffixLen: { value: 1 },
      addressSuffix: "x",
    };
    const chain = { filters: [http], filterChainMatch };
    expect(
      decodeListener(Listener.encode({ name: "l", address, filterChains: [chain] }).finish()),
    ).toMatchObject({
      problems: [
        { path: "filterChains[0].filterChainMatch.addressSuffix" },
        { path: "filterChains[0].filterChainMatch.suffixLen" },
      ],
    });
    const tcp = { name: "tcp", typedConfig: { type_url: "x/envoy.tcp", value: new Uint8Array() } };
    expect(
      decodeListener(Listener.encode({ name: "l", address, filterChains: [{ filters: [tcp] }] }).finish()),
    ).toMatchObject({
      problems: [{ path: "filterChains[0].filters[0]", why: expect.stringMatching(/envoy.tcp/) }],
    });
  });

  it("refuse endpoints without a port", () => {
    const endpoint = { endpoint: { address: { socketAddress: { address: "a" } } } };
    const bytes = ClusterLoadAssignment.encode({
      clusterName: "a",
      endpoints: [{ priority: 1, lbEndpoints: [endpoint] }],
    }).finish();
    expect(decodeEndpoints(bytes)).toMatchObject({
      problems: [{ path: "endpoints[0].lbEndpoints[0].endpoint.address" }],
    });
  });
});
