import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import type { AccessControl } from "../../common/model/authorization.ts";
import type { Listener } from "../../common/model/listener.ts";
import { basePathNormalization } from "../../common/model/request-entry.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import type { AccessSubject } from "../../common/routing/access-subject.ts";
import { explainAccess } from "../../common/routing/explain-access.ts";
import { compilePathNormalization } from "../../common/routing/normalize-path.ts";
import { encodedResource } from "../../common/xds/encoded-resource.ts";
import { decodeListener, encodeListener } from "../../common/xds/listener.ts";
import { typeUrl } from "../../common/xds/type-url.ts";
import { decodeText } from "../../control-plane/resources/decode-text.ts";
import { XdsServer } from "../../control-plane/serve/server.ts";
import { buildSnapshot } from "../../control-plane/snapshot/build.ts";
import { accessFor } from "../../control-plane/translate/access.ts";
import type { RunningEnvoy } from "../support/envoy.ts";
import { envoyBinary, startEnvoy } from "../support/envoy.ts";
import { sidecar } from "../support/xds-mesh.ts";

/**
 * Generated policies and requests, decided by our matcher and by a real Envoy that runs our RBAC translation. Requests have no field twice:
 * there ours is stricter than Envoy on purpose (CVE-2026-26308).
 */

const binary = await envoyBinary((reason) => console.warn(reason));
const policyCount = 100;
const requestsEach = 20;

const pattern = (texts: readonly string[]) =>
  fc.oneof(
    fc.constantFrom(...texts),
    fc.constantFrom(...texts).map((text) => `${text.slice(0, Math.max(1, text.length >> 1))}*`),
    fc.constantFrom(...texts).map((text) => `*${text.slice(-Math.max(1, text.length >> 1))}`),
    fc.constant("*"),
  );
const some = (values: fc.Arbitrary<string>) => fc.uniqueArray(values, { minLength: 1, maxLength: 2 });
const pathTexts = ["/", "/admin", "/admin/users", "/api/v1/items", "/a.b/[x]"];
const paths = fc.oneof(
  pattern(pathTexts).filter((text) => text.startsWith("/") || text.startsWith("*")),
  fc.constantFrom("/api/{*}/items", "/admin/{**}", "/{*}", "/api/{**}/items"),
);
const hosts = pattern(["shop.example.com", "admin.example.com", "shop.example.com:8080", "cert-manager.io"]);
const methods = pattern(["GET", "POST", "DELETE"]);
const roles = ["admin", "user", "x", "a.b"];
const blocks = fc.constantFrom("10.0.0.0/8", "10.1.2.3", "127.0.0.1", "192.168.0.0/16", "fd00::/8");
const both = (name: string, values: fc.Arbitrary<string>) => ({
  [name]: some(values),
  [`not${name.charAt(0).toUpperCase()}${name.slice(1)}`]: some(values),
});
const source = fc
  .record(
    {
      ...both("ipBlocks", blocks),
      ...both("remoteIpBlocks", blocks),
      // Nobody proves anything here: these ask about peers that there are not.
      principals: fc.constant(["*"]),
      notPrincipals: fc.constant(["cluster.local/ns/a/sa/b"]),
      notNamespaces: fc.constant(["shop"]),
      requestPrincipals: fc.constant(["*"]),
      notRequestPrincipals: fc.constant(["*"]),
    },
    { requiredKeys: [] },
  )
  .filter((one) => Object.keys(one).length > 0);
const operation = fc
  .record(
    { ...both("paths", paths), ...both("hosts", hosts), ...both("methods", methods) },
    { requiredKeys: [] },
  )
  .filter((one) => Object.keys(one).length > 0);
const condition = fc
  .record(
    {
      key: fc.constantFrom("request.headers[x-role]", "request.headers[x-team]"),
      values: some(pattern(roles)),
      notValues: some(pattern(roles)),
    },
    { requiredKeys: ["key"] },
  )
  .filter(({ values, notValues }) => values !== undefined || notValues !== undefined);
const rule = fc.record(
  {
    from: fc.array(fc.record({ source }), { minLength: 1, maxLength: 2 }),
    to: fc.array(fc.record({ operation }), { minLength: 1, maxLength: 2 }),
    when: fc.array(condition, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const policy = fc.record({
  action: fc.constantFrom("ALLOW", "DENY"),
  rules: fc.array(rule, { maxLength: 3 }),
});
const policies = fc.array(policy, { minLength: 1, maxLength: 2 });

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly role: string | undefined;
  readonly team: string | undefined;
  readonly forwarded: string | undefined;
}
const asked: fc.Arbitrary<Asked> = fc.record({
  method: fc.constantFrom("GET", "POST", "DELETE", "PUT"),
  path: fc.constantFrom(
    ...pathTexts,
    ...[
      "/admin/",
      "/adminx",
      "/api/v2/items",
      "/api//items",
      "/api/v1/x/items",
      "/admin?x=/api",
      "/x/../admin",
    ],
    ...["/%61dmin", "/admin/%2e%2e/api/v1/items", "/api/v1/items/", "/administration", "/ADMIN"],
  ),
  host: fc.constantFrom(
    ...[
      "shop.example.com",
      "SHOP.example.com",
      "shop.example.com:8080",
      "shop.example.com:80",
      "cert-managerXio",
    ],
    ...["admin.example.com", "evil.admin.example.com", "cert-manager.io"],
  ),
  role: fc.option(fc.constantFrom(...roles, "administrator", "aXb", ""), { nil: undefined }),
  team: fc.option(fc.constantFrom(...roles), { nil: undefined }),
  forwarded: fc.option(fc.constantFrom("10.1.2.3", "192.168.7.7", "1.2.3.4", "9.9.9.9, 10.9.9.9"), {
    nil: undefined,
  }),
});

const node = { ...sidecar("product"), namespace: "shop" };

function accessOf(specs: readonly object[]): AccessControl {
  const texts = specs.map((spec, index) =>
    JSON.stringify({
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name: `p${index}`, namespace: "shop" },
      spec,
    }),
  );
  const { resources, problems } = decodeText(texts.join("\n---\n"), "generated.yaml", { now: 0 });
  const errors = problems.filter(({ severity = "error" }) => severity === "error");
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  return accessFor(buildSnapshot(resources), node) ?? { rules: [] };
}

function listenerOf(access: AccessControl, index: number): Listener {
  const virtualHost = {
    name: "all",
    domains: ["*"],
    routes: [
      {
        name: "ok",
        match: { path: { kind: "any" as const }, headers: [], queryParams: [] },
        action: { kind: "direct-response" as const, status: 200, body: new Uint8Array() },
        requestHeaders: noHeaderOperations,
        responseHeaders: noHeaderOperations,
      },
    ],
  };
  const configuration = { name: "r", vhds: false, virtualHosts: [virtualHost] };
  const routes = { kind: "inline" as const, configuration };
  return {
    name: `policy-${index}`,
    address: "127.0.0.1",
    port: 0,
    direction: "inbound",
    filterChains: [{ name: "c", http: { statPrefix: "h", routes, path: basePathNormalization, access } }],
  };
}

const normalize = compilePathNormalization(basePathNormalization)!;

/** What our proxy's stack makes of a request: the path's one form, then the compiled rules. */
function ours(access: AccessControl, one: Asked): number {
  const path = normalize(one.path);
  if (typeof path !== "string") return 400;
  const headers = new Map([
    ["x-role", one.role],
    ["x-team", one.team],
  ]);
  const subject: AccessSubject = {
    request: {
      method: one.method,
      scheme: "http",
      authority: one.host,
      path,
      header: (name) => headers.get(name),
    },
    sourceIp: "127.0.0.1",
    remoteIp: (one.forwarded ?? "127.0.0.1").split(",").at(-1)!.trim(),
    destinationIp: "127.0.0.1",
    destinationPort: 1,
  };
  return explainAccess(access, subject).isAllowed ? 200 : 403;
}

function askEnvoy(port: number, one: Asked): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      host: one.host,
      ...(one.role === undefined ? {} : { "x-role": one.role }),
      ...(one.team === undefined ? {} : { "x-team": one.team }),
      ...(one.forwarded === undefined ? {} : { "x-forwarded-for": one.forwarded }),
    };
    const options = { host: "127.0.0.1", port, method: one.method, path: one.path, headers };
    const sent = httpRequest(options, (response) => {
      response.resume().on("end", () => resolve(response.statusCode!));
    });
    sent.on("error", reject).end();
  });
}

describe.skipIf(binary === undefined)("our policies in a real Envoy", () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-rbac-"));
  const specs = fc.sample(policies, { numRuns: policyCount, seed: 20_261_123 });
  const controls = specs.map(accessOf);
  const nacks: string[] = [];
  let server: XdsServer;
  let envoy: RunningEnvoy;
  let ports: ReadonlyMap<string, number>;

  beforeAll(async () => {
    const listeners = controls.map((access, index) => {
      const listener = listenerOf(access, index);
      return [listener.name, encodedResource(listener.name, encodeListener(listener))] as const;
    });
    const source = { version: "v1", resourcesFor: () => new Map([[typeUrl.listener, new Map(listeners)]]) };
    server = new XdsServer({
      source,
      clock: systemClock,
      version: "v1",
      events: { nacked: (_peer, _kind, outcome) => nacks.push(JSON.stringify(outcome)) },
    });
    const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
    envoy = await startEnvoy(binary!, bootstrap(port), folder);
    const allOpen = async () => {
      const { listener_statuses: open = [] } = JSON.parse(
        await envoy.admin("/listeners?format=json"),
      ) as ListenersPage;
      expect(nacks).toEqual([]);
      expect(open).toHaveLength(policyCount);
      ports = new Map(open.map(({ name, local_address: at }) => [name, at.socket_address.port_value]));
    };
    await vi.waitFor(allOpen, { timeout: 60_000, interval: 100 });
  });

  afterAll(async () => {
    await envoy?.stop();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it(`decide ${policyCount * requestsEach} requests as our own matcher does`, async () => {
    const differences: string[] = [];
    const verdicts = new Map<number, number>();
    for (const [index, access] of controls.entries()) {
      const decoded = decodeListener(encodeListener({ ...listenerOf(access, index), port: 1 }));
      const overTheWire = decoded.ok
        ? (decoded.value.filterChains[0]!.http!.access ?? { rules: [] })
        : undefined;
      for (const one of fc.sample(asked, { numRuns: requestsEach, seed: index })) {
        const [mine, theirs] = [ours(overTheWire!, one), await askEnvoy(ports.get(`policy-${index}`)!, one)];
        verdicts.set(theirs, (verdicts.get(theirs) ?? 0) + 1);
        if (mine !== theirs)
          differences.push(
            `ours ${mine}, Envoy ${theirs}: ${JSON.stringify(one)} under ${JSON.stringify(specs[index])}`,
          );
      }
    }
    expect(differences).toEqual([]);
    // Both verdicts are frequent, or the comparison would say little.
    expect(Math.min(verdicts.get(200) ?? 0, verdicts.get(403) ?? 0)).toBeGreaterThan(200);
  });
});

interface ListenersPage {
  readonly listener_statuses?: readonly {
    readonly name: string;
    readonly local_address: { readonly socket_address: { readonly port_value: number } };
  }[];
}

function bootstrap(port: number): object {
  const ads = { ads: {}, resource_api_version: "V3" };
  return {
    node: { id: node.id, cluster: "product" },
    dynamic_resources: {
      lds_config: ads,
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
      },
    },
    static_resources: {
      clusters: [
        {
          name: "xds",
          type: "STATIC",
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: "xds",
            endpoints: [
              {
                lb_endpoints: [
                  { endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } } },
                ],
              },
            ],
          },
        },
      ],
    },
  };
}
