import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { envoyBinary, envoyVersion, startEnvoy } from "../support/envoy.ts";
import type { HashRecord, RecordedCase } from "./hash-record.ts";

/**
 * Asks a real Envoy which endpoint it picks for which key, and writes that to `envoy-hash.json`:
 *
 *   node test/oracle/record-hash.ts
 *
 * Nothing listens at the endpoints. The access log names the one that was picked all the same.
 */
const cases: readonly RecordedCase[] = [
  { name: "ring-1", policy: { kind: "ring-hash", minimumRingSize: 1024 }, endpoints: endpoints(1) },
  { name: "ring-3", policy: { kind: "ring-hash", minimumRingSize: 1024 }, endpoints: endpoints(3) },
  { name: "ring-10", policy: { kind: "ring-hash", minimumRingSize: 1024 }, endpoints: endpoints(10) },
  { name: "ring-small", policy: { kind: "ring-hash", minimumRingSize: 16 }, endpoints: endpoints(7) },
  { name: "ring-weights", policy: { kind: "ring-hash", minimumRingSize: 1024 }, endpoints: weighted() },
  { name: "maglev-3", policy: { kind: "maglev", tableSize: 65_537 }, endpoints: endpoints(3) },
  { name: "maglev-10", policy: { kind: "maglev", tableSize: 65_537 }, endpoints: endpoints(10) },
  { name: "maglev-small", policy: { kind: "maglev", tableSize: 251 }, endpoints: endpoints(7) },
  { name: "maglev-weights", policy: { kind: "maglev", tableSize: 65_537 }, endpoints: weighted() },
];

const keys = [
  ...Array.from({ length: 120 }, (_, i) => `user-${i}`),
  "a",
  "0123456789abcdef0123456789abcdef0123456789abcdef",
  "a key with spaces, commas and more than thirty-two bytes",
];

/** Requests whose key is not a single header. */
const sources = [
  { name: "two-values", headers: { "x-user": ["zoe", "adam"] }, path: "/" },
  { name: "cookie", headers: { cookie: "other=1; session=s-42; last=x" }, path: "/cookie" },
  { name: "query", headers: {}, path: "/query?x=1&user=u-7&user=u-8" },
  { name: "query-encoded", headers: {}, path: "/query?user=a%20b" },
  { name: "source-ip", headers: {}, path: "/source" },
  { name: "combined", headers: { "x-user": "eve", cookie: "session=s-9" }, path: "/combined?user=q-1" },
] as const;

const port = 26_080;
const folder = mkdtempSync(join(tmpdir(), "weft-oracle-"));
const log = join(folder, "access.log");
const binary = await envoyBinary((reason) => console.error(reason));
if (binary === undefined) throw new Error("there is no Envoy on this machine");
const envoy = await startEnvoy(binary, bootstrap(), folder);
try {
  for (const { name } of cases)
    for (const key of keys) await send(name, "/", { "x-user": key, "x-ask": key });
  for (const { name, headers, path } of sources)
    await send("maglev-10", path, { ...headers, "x-ask": `source:${name}` });
  const expected = cases.length * keys.length + sources.length;
  for (let tries = 0; tries < 100 && lines().length < expected; tries++) await wait(200);
  const picked = new Map(lines().map(([host, ask, upstream]) => [`${host} ${ask}`, upstream!]));
  const record: HashRecord = {
    envoy: envoyVersion,
    keys,
    cases: cases.map((one) => ({ ...one, picks: keys.map((key) => picked.get(`${one.name} ${key}`) ?? "") })),
    sources: sources.map(({ name, headers, path }) => ({
      name,
      headers: Object.entries(headers).flatMap(([field, value]) =>
        [value].flat().map((text): [string, string] => [field, text]),
      ),
      path,
      pick: picked.get(`maglev-10 source:${name}`) ?? "",
    })),
  };
  writeFileSync(
    fileURLToPath(new URL("envoy-hash.json", import.meta.url)),
    `${JSON.stringify(record, undefined, 2)}\n`,
  );
} finally {
  await envoy.stop();
  rmSync(folder, { recursive: true, force: true });
}

function endpoints(count: number) {
  return Array.from({ length: count }, (_, i) => ({ address: `127.9.0.${i + 1}:${7_000 + i}`, weight: 1 }));
}

function weighted() {
  return [1, 5, 2, 9, 3].map((weight, i) => ({ address: `127.8.1.${i + 10}:9080`, weight }));
}

function lines(): string[][] {
  const text = readFileSync(log, "utf8").trim();
  return text.split("\n").map((line) => line.split("\t"));
}

function send(
  host: string,
  path: string,
  headers: Record<string, string | readonly string[]>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const flat = Object.entries({ host, ...headers }).map(([name, value]) => [name, value]);
    request(
      { host: "127.0.0.1", port, path, headers: Object.fromEntries(flat), agent: false },
      (response) => {
        response.resume().on("end", resolve);
      },
    )
      .on("error", reject)
      .end();
  });
}

function bootstrap(): object {
  return {
    static_resources: {
      clusters: cases.map(({ name, policy, endpoints }) => ({
        name,
        type: "STATIC",
        connect_timeout: "1s",
        lb_policy: policy.kind === "maglev" ? "MAGLEV" : "RING_HASH",
        ...(policy.kind === "maglev"
          ? { maglev_lb_config: { table_size: policy.tableSize } }
          : { ring_hash_lb_config: { minimum_ring_size: policy.minimumRingSize } }),
        load_assignment: {
          cluster_name: name,
          endpoints: [
            {
              lb_endpoints: endpoints.map(({ address, weight }) => ({
                load_balancing_weight: weight,
                endpoint: {
                  address: {
                    socket_address: {
                      address: address.split(":")[0],
                      port_value: Number(address.split(":")[1]),
                    },
                  },
                },
              })),
            },
          ],
        },
      })),
      listeners: [listener()],
    },
  };
}

function listener(): object {
  const virtualHosts = cases.map(({ name }) => ({
    name,
    domains: [name],
    routes: [
      route(name, "/cookie", [{ cookie: { name: "session" } }]),
      route(name, "/query", [{ query_parameter: { name: "user" } }]),
      route(name, "/source", [{ connection_properties: { source_ip: true } }]),
      route(name, "/combined", [
        { header: { header_name: "x-user" } },
        { cookie: { name: "session" } },
        { query_parameter: { name: "user" } },
      ]),
      route(name, "/", [{ header: { header_name: "x-user" } }]),
    ],
  }));
  return {
    address: { socket_address: { address: "127.0.0.1", port_value: port } },
    filter_chains: [
      {
        filters: [
          {
            name: "http",
            typed_config: {
              "@type":
                "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
              stat_prefix: "oracle",
              access_log: [
                {
                  name: "file",
                  typed_config: {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                    path: log,
                    log_format: {
                      text_format_source: {
                        inline_string: "%REQ(:AUTHORITY)%\t%REQ(X-ASK)%\t%UPSTREAM_HOST%\n",
                      },
                    },
                  },
                },
              ],
              route_config: { virtual_hosts: virtualHosts },
              http_filters: [
                {
                  name: "router",
                  typed_config: {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                  },
                },
              ],
            },
          },
        ],
      },
    ],
  };
}

function route(cluster: string, prefix: string, policies: readonly object[]): object {
  return { match: { prefix }, route: { cluster, hash_policy: policies } };
}
