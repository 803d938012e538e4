import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AccessControl, AccessPolicy, AccessTest, TextMatch } from "../model/authorization.ts";
import type { EdgeSettings } from "../model/edge.ts";
import { clientCertificateModes, defaultEdgeSettings } from "../model/edge.ts";
import type { ExternalAuthorization } from "../model/external-authorization.ts";
import type { HttpConnectionManager, Listener } from "../model/listener.ts";
import type { PathNormalization } from "../model/request-entry.ts";
import { decodeListener, encodeListener } from "./listener.ts";

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,9}$/);
const text = fc.oneof(word, fc.constantFrom("/a.b/[x]", "cert-manager.io", "*.é"));
const match: fc.Arbitrary<TextMatch> = fc.oneof(
  fc.record(
    {
      kind: fc.constantFrom("exact", "prefix", "suffix", "contains"),
      value: text,
      ignoreCase: fc.constant(true),
    },
    { requiredKeys: ["kind", "value"] },
  ),
  fc.record({ kind: fc.constant("regex" as const), value: word }),
  fc.constant({ kind: "present" as const }),
);
/** Namespaces travel inside of a pattern, where case can't be ignored. */
const namespace: fc.Arbitrary<TextMatch> = fc.oneof(
  fc.record({ kind: fc.constantFrom("exact" as const, "prefix" as const, "suffix" as const), value: text }),
  fc.constant({ kind: "present" as const }),
);
const cidr = fc.constantFrom("10.0.0.0/8", "192.168.1.7/32", "fd00::/8");
const claim: fc.Arbitrary<AccessTest> = fc.record({
  kind: fc.constant("claim" as const),
  path: fc.array(word, { minLength: 1, maxLength: 3 }),
  matches: fc.uniqueArray(match, { minLength: 1, maxLength: 2, selector: (one) => JSON.stringify(one) }),
});
const shared: fc.Arbitrary<AccessTest>[] = [
  fc.constant({ kind: "any" as const }),
  fc.record({ kind: fc.constant("header" as const), name: word, match }),
  fc.record({ kind: fc.constant("path" as const), match }),
  claim,
];
const what = fc.oneof(
  ...shared,
  fc.record({ kind: fc.constant("destination-port" as const), port: fc.integer({ min: 1, max: 65_535 }) }),
  fc.record({ kind: fc.constant("destination-ip" as const), cidr }),
  fc.record({ kind: fc.constant("server-name" as const), match }),
  fc
    .constantFrom("/a/{*}/b", "/a/{**}", "/{*}")
    .map((template) => ({ kind: "path-template" as const, template })),
);
const who = fc.oneof(
  ...shared,
  fc.record({ kind: fc.constantFrom("source-ip" as const, "remote-ip" as const), cidr }),
  match.map((one) => ({ kind: "principal" as const, match: one })),
  namespace.map((one) => ({ kind: "source-namespace" as const, match: one })),
  fc.record({ kind: fc.constant("service-account" as const), namespace: word, name: word }),
);
const tree = (leaf: fc.Arbitrary<AccessTest>): fc.Arbitrary<AccessTest> =>
  fc.letrec<{ test: AccessTest }>((tie) => ({
    test: fc.oneof(
      { maxDepth: 2 },
      leaf,
      fc.record({
        kind: fc.constantFrom("and" as const, "or" as const),
        tests: fc.array(tie("test"), { minLength: 1, maxLength: 3 }),
      }),
      fc.record({ kind: fc.constant("not" as const), test: tie("test") }),
    ),
  })).test;

const source = fc.record({
  kind: fc.constant("AuthorizationPolicy"),
  namespace: word,
  name: word,
  file: word,
  line: fc.nat(99),
});
const policies: fc.Arbitrary<AccessPolicy[]> = fc.uniqueArray(
  fc.record({
    // A name that is a number would come first, whatever its place.
    name: word,
    permissions: fc.array(tree(what), { minLength: 1, maxLength: 2 }),
    principals: fc.array(tree(who), { minLength: 1, maxLength: 2 }),
  }),
  { maxLength: 3, selector: ({ name }) => name },
);
const rules = fc.record(
  {
    action: fc.constantFrom("allow" as const, "deny" as const, "log" as const),
    policies,
    isDryRun: fc.constant(true),
  },
  { requiredKeys: ["action", "policies"] },
);
const texts = fc.array(match, { maxLength: 2 });
const base = { cluster: word, authority: word, timeoutMs: fc.integer({ min: 1, max: 600_000 }) };
const grpc = fc.record({ kind: fc.constant("grpc" as const), ...base });
const http = fc.record({
  kind: fc.constant("http" as const),
  ...base,
  pathPrefix: fc.constantFrom("", "/check"),
  addedHeaders: fc.array(fc.tuple(word, word), { maxLength: 2 }),
  headersToUpstream: texts,
  headersToDownstreamOnDeny: texts,
  headersToDownstreamOnAllow: texts,
});
const external = (
  service: fc.Arbitrary<ExternalAuthorization["service"]>,
): fc.Arbitrary<ExternalAuthorization> =>
  fc.record(
    {
      provider: word,
      policies,
      service,
      requestHeaders: texts,
      body: fc.record({
        maxBytes: fc.integer({ min: 1, max: 9_999 }),
        allowsPartial: fc.boolean(),
        asBytes: fc.boolean(),
      }),
      failsOpen: fc.boolean(),
      statusOnError: fc.constantFrom(403, 503),
      clearsRoute: fc.boolean(),
    },
    {
      requiredKeys: [
        "provider",
        "policies",
        "service",
        "requestHeaders",
        "failsOpen",
        "statusOnError",
        "clearsRoute",
      ],
    },
  );
const provider = fc.record(
  {
    name: word,
    issuer: word,
    audiences: fc.array(word, { maxLength: 2 }),
    keys: fc.oneof(
      fc.record({ kind: fc.constant("inline" as const), jwks: fc.constant('{"keys":[]}') }),
      fc.record({
        kind: fc.constant("remote" as const),
        uri: fc.constantFrom("https://issuer.example/keys", "http://127.0.0.1:1/k"),
        timeoutMs: fc.integer({ min: 1, max: 60_000 }),
        networks: fc.constant(["10.0.0.0/8"]),
      }),
    ),
    fromHeaders: fc.array(fc.record({ name: word, prefix: fc.constantFrom("", "Bearer ") }), {
      maxLength: 2,
    }),
    fromParams: fc.array(word, { maxLength: 2 }),
    fromCookies: fc.array(word, { maxLength: 2 }),
    forwardsToken: fc.boolean(),
    payloadHeader: word,
    claimHeaders: fc.array(
      fc.record({ header: word, claim: fc.array(word, { minLength: 1, maxLength: 2 }) }),
      {
        maxLength: 2,
      },
    ),
    spaceDelimitedClaims: fc.array(word, { minLength: 1, maxLength: 2 }),
  },
  {
    requiredKeys: [
      ...(["name", "issuer", "audiences", "keys", "fromHeaders", "fromParams", "fromCookies"] as const),
      ...(["forwardsToken", "claimHeaders"] as const),
    ],
  },
);
const jwt = fc.record({
  providers: fc.uniqueArray(provider, { minLength: 1, maxLength: 2, selector: ({ name }) => name }),
});
const access = fc.record(
  {
    jwt,
    external: fc.uniqueArray(external(http), { minLength: 1, maxLength: 2, selector: (one) => one.provider }),
    rules: fc.array(rules, { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: ["rules"] },
);
const tcpAccess: fc.Arbitrary<AccessControl> = fc.record({
  rules: fc.array(rules, { minLength: 1, maxLength: 3 }),
});
const path: fc.Arbitrary<PathNormalization> = fc.oneof(
  fc.record({
    mode: fc.constantFrom("base" as const, "merge-slashes" as const),
    parameters: fc.constantFrom("keep" as const, "strip" as const, "reject" as const),
    escapedSlashes: fc.constantFrom("keep" as const, "reject" as const, "unescape-and-redirect" as const),
  }),
  fc.constant({
    mode: "decode-and-merge-slashes" as const,
    parameters: "strip" as const,
    escapedSlashes: "unescape-and-forward" as const,
  }),
);
const edge: fc.Arbitrary<EdgeSettings> = fc.record({
  trustedHops: fc.nat(5),
  clientCertificate: fc.constantFrom(...clientCertificateModes),
  clientCertificateDetails: fc.subarray(["subject", "cert", "chain", "dns"] as const),
  underscores: fc.constantFrom("allow" as const, "reject" as const, "drop" as const),
  maxConnections: fc.integer({ min: 1, max: 1_000_000 }),
  maxHeaderBytes: fc.integer({ min: 1, max: 96 }).map((kib) => kib * 1024),
  maxHeaderCount: fc.integer({ min: 1, max: 1_000 }),
  headerTimeoutMs: fc.integer({ min: 1, max: 60_000 }),
  streamIdleTimeoutMs: fc.nat(600_000),
  requestTimeoutMs: fc.nat(600_000),
  connectionIdleTimeoutMs: fc.integer({ min: 1, max: 3_600_000 }),
});

function withHttp(http: Partial<HttpConnectionManager>): Listener {
  return {
    name: "edge",
    address: "0.0.0.0",
    port: 80,
    direction: "gateway",
    filterChains: [
      { name: "c", http: { statPrefix: "x", routes: { kind: "rds", routeConfigName: "r" }, ...http } },
    ],
  };
}

function roundTrip(listener: Listener): void {
  expect(decodeListener(encodeListener(listener))).toEqual({ ok: true, value: listener });
}

describe("who may call, to bytes and back", () => {
  it("is the same for HTTP", () => {
    fc.assert(
      fc.property(access, (one) => {
        // All keys of a chain are fetched under the same rules.
        roundTrip(withHttp({ access: one }));
      }),
      { numRuns: 300 },
    );
  });

  it("is the same with sources of policies", () => {
    fc.assert(
      fc.property(policies, source, (some, from) => {
        const sourced = some.map((policy) => ({ ...policy, source: from }));
        roundTrip(withHttp({ access: { rules: [{ action: "deny", policies: sourced }] } }));
      }),
    );
  });

  it("is the same for services asked by gRPC, and for TCP", () => {
    fc.assert(
      fc.property(external(grpc), tcpAccess, (one, two) => {
        roundTrip(withHttp({ access: { external: [one], rules: [] } }));
        const tcp = { statPrefix: "t", destinations: [{ cluster: "c", weight: 1 }] };
        roundTrip({ ...withHttp({}), filterChains: [{ name: "c", tcp, access: two }] });
      }),
    );
  });

  it("is the same for paths and edges", () => {
    fc.assert(fc.property(path, edge, (one, two) => roundTrip(withHttp({ path: one, edge: two }))));
    roundTrip(withHttp({ edge: defaultEdgeSettings }));
  });
});
