import { describe, expect, it } from "vitest";
import type { Endpoint } from "../../common/model/endpoint.ts";
import type { Listener } from "../../common/model/listener.ts";
import { sidecar } from "../../test/support/xds-mesh.ts";
import { decodeText } from "../resources/decode-text.ts";
import { buildSnapshot } from "../snapshot/build.ts";
import { defaultMeshSettings } from "../snapshot/snapshot.ts";
import { automaticTls, meshTlsTo, secured, withoutIdentity } from "./mesh-tls.ts";

const endpoint = (serviceAccount: string, tlsMode?: "istio"): Endpoint => ({
  address: "127.0.0.1",
  port: 1,
  weight: 1,
  health: "healthy",
  workload: { name: "w", namespace: "shop", serviceAccount, labels: {} },
  ...(tlsMode && { tlsMode }),
});

const to = {
  hostname: "review.shop.svc.cluster.local",
  namespace: "shop",
  port: 9080,
  subset: "v1",
  trustDomains: ["cluster.local", "old.local"],
};

describe("TLS towards a cluster", () => {
  it("expects each service account behind it, in every trust domain that counts as ours", () => {
    const endpoints = [
      endpoint("b", "istio"),
      endpoint("a", "istio"),
      endpoint("", "istio"),
      endpoint("plain"),
    ];
    expect(automaticTls({ ...to, endpoints })).toEqual({
      identity: true,
      sni: "outbound_.9080_.v1_.review.shop.svc.cluster.local",
      subjectAltNames: ["a", "b", "default"].flatMap((account) => [
        `spiffe://cluster.local/ns/shop/sa/${account}`,
        `spiffe://old.local/ns/shop/sa/${account}`,
      ]),
      insecureSkipVerify: false,
    });
  });

  it("is not there where no endpoint can", () => {
    expect(automaticTls({ ...to, endpoints: [endpoint("a")] })).toBeUndefined();
  });

  it("takes the names that a rule gives", () => {
    const asked = { sni: "review.example", subjectAltNames: ["spiffe://cluster.local/ns/shop/sa/other"] };
    expect(meshTlsTo(asked, { ...to, endpoints: [endpoint("a", "istio")] })).toMatchObject(asked);
  });

  it("falls away for proxies without an identity, and only that", () => {
    const cluster = {
      name: "c",
      discovery: { kind: "eds" as const },
      loadBalancer: { kind: "random" as const },
      connectTimeoutMs: 1,
    };
    const mutualTls = meshTlsTo(undefined, { ...to, endpoints: [] });
    const clusters = new Map([
      ["c", { ...cluster, mutualTls }],
      ["d", { ...cluster, name: "d", tls: mutualTls }],
    ]);
    const plain = withoutIdentity(clusters);
    expect([...plain.values()]).toEqual([cluster, { ...cluster, name: "d", tls: mutualTls }]);
    expect(withoutIdentity(clusters)).toBe(plain);
  });
});

describe("an inbound listener", () => {
  const listener: Listener = {
    name: "virtualInbound",
    address: "127.0.0.1",
    port: 15006,
    direction: "inbound",
    filterChains: [{ name: "in", http: { statPrefix: "in", routes: { kind: "rds", routeConfigName: "r" } } }],
  };
  const chainsOf = (mode: string, hasIdentity: boolean) => {
    const yaml = `{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: a, namespace: default}, spec: {mtls: {mode: ${mode}}}}`;
    const { resources } = decodeText(yaml, "a.yaml");
    const settings = { ...defaultMeshSettings, trustDomains: to.trustDomains };
    const node = { ...sidecar("w"), hasIdentity };
    const { filterChains } = secured(buildSnapshot(resources, undefined, settings), node, listener, [8080]);
    return filterChains.map(({ name, transport, tls }) => [name, transport, tls?.identity?.trustDomains]);
  };

  it.each([
    ["STRICT", true, [["in", "tls", to.trustDomains]]],
    [
      "PERMISSIVE",
      true,
      [
        ["in|mtls", "tls", to.trustDomains],
        ["in", undefined, undefined],
      ],
    ],
    ["DISABLE", true, [["in", undefined, undefined]]],
    ["PERMISSIVE", false, [["in", undefined, undefined]]],
    // It has no certificate to show, so nobody gets in: better than everybody.
    ["STRICT", false, [["in", "tls", to.trustDomains]]],
  ])("has the chains for %s, of a proxy with an identity: %s", (mode, hasIdentity, chains) => {
    expect(chainsOf(mode, hasIdentity)).toEqual(chains);
  });
});
