import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { Locality } from "../../common/model/endpoint.ts";
import type { ProxyNode, SocketAddress } from "../../common/model/node.ts";
import { decodeText } from "../resources/decode-text.ts";
import type { Resource } from "../resources/resource.ts";
import { buildSnapshot } from "../snapshot/build.ts";
import type { ProxyResources } from "./proxy-resources.ts";
import { translate } from "./translate.ts";

/** A case is a file of resources under the proxy that asks; its name is the sentence that it proves. */
const folder = new URL("testdata/", import.meta.url);
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".in.yaml"))
  .map((name) => name.slice(0, -".in.yaml".length));

describe("translation", () => {
  it.each(names)("%s", async (name) => {
    const { node, resources } = readCase(name);
    const snapshot = buildSnapshot(resources);
    const told = snapshot.problems.map(({ resource, path, why }) => `${resource.name} ${path}: ${why}`);
    const translated = { ...readable(translate(snapshot, node)), told };
    const out = new URL(`${name}.out.json`, folder).pathname;
    await expect(`${JSON.stringify(translated, null, 2)}\n`).toMatchFileSnapshot(out);
  });

  it.each(names)("%s, in whatever order the resources come", (name) => {
    const { node, resources } = readCase(name);
    const expected = readable(translate(buildSnapshot(resources), node));
    fc.assert(
      fc.property(fc.shuffledSubarray([...resources], { minLength: resources.length }), (shuffled) => {
        expect(readable(translate(buildSnapshot(shuffled), node))).toEqual(expected);
      }),
      { numRuns: 15 },
    );
  });

  it.each(names)("%s, and no two virtual hosts have a domain in common", (name) => {
    const { node, resources } = readCase(name);
    const { virtualHosts } = translate(buildSnapshot(resources), node);
    const domains = [...virtualHosts].flatMap(([key, host]) =>
      host.domains.map((domain) => `${key.slice(0, key.indexOf("/"))} ${domain}`),
    );
    expect(domains.toSorted()).toEqual([...new Set(domains)].sort());
  });
});

function readCase(name: string): { node: ProxyNode; resources: readonly Resource[] } {
  const text = readFileSync(new URL(`${name}.in.yaml`, folder), "utf8");
  const end = text.indexOf("\n---\n");
  // The node's lines stay as blank ones, so that the goldens' line numbers are those of the file.
  const blank = "\n".repeat(text.slice(0, end).split("\n").length);
  const decoded = decodeText(`${blank}${text.slice(end + 1)}`, `${name}.in.yaml`);
  expect(decoded.problems.filter(({ severity }) => severity !== "warning")).toEqual([]);
  return { node: readNode(parse(text.slice(0, end)).node), resources: decoded.resources };
}

interface WrittenNode {
  kind: "sidecar" | "gateway";
  name: string;
  namespace: string;
  serviceAccount?: string;
  labels?: Record<string, string>;
  /** region/zone/subzone */
  locality?: string;
  outbound?: string;
  inbound?: string;
  app?: string;
  servers?: Record<string, string>;
  captures?: true;
  dns?: string[];
  addresses?: string[];
  hasIdentity?: true;
}

function readNode(written: WrittenNode): ProxyNode {
  const { outbound, inbound, app, servers = {}, captures, dns, addresses, hasIdentity } = written;
  return {
    id: `${written.kind}~127.0.0.1~${written.name}.${written.namespace}~x`,
    kind: written.kind,
    name: written.name,
    namespace: written.namespace,
    serviceAccount: written.serviceAccount ?? "default",
    labels: written.labels ?? {},
    ...(written.locality === undefined ? {} : { locality: locality(written.locality) }),
    ...(addresses ? { addresses } : {}),
    ...(hasIdentity ? { hasIdentity } : {}),
    bindings: {
      ...(outbound ? { outbound: address(outbound) } : {}),
      ...(inbound ? { inbound: address(inbound) } : {}),
      ...(app ? { app: address(app) } : {}),
      ...(captures ? { captures } : {}),
      ...(dns ? { dns: dns.map(address) } : {}),
      servers: new Map(Object.entries(servers).map(([port, at]) => [Number(port), address(at)])),
    },
  };
}

function locality(text: string): Locality {
  const [region = "", zone = "", subzone = ""] = text.split("/");
  return { region, zone, subzone };
}

function address(text: string): SocketAddress {
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}

/** Maps as lists with sorted names, and clusters that nothing shapes left out of sight no less than others. */
function readable(resources: ProxyResources): Record<string, unknown> {
  const sorted = <T>(map: ReadonlyMap<string, T>) =>
    Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    listeners: sorted(resources.listeners),
    routeConfigurations: sorted(resources.routeConfigurations),
    virtualHosts: sorted(resources.virtualHosts),
    clusters: sorted(resources.clusters),
    endpoints: sorted(resources.endpoints),
    skipped: resources.skipped,
  };
}
