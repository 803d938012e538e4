import { request } from "undici";
import { afterEach, describe, expect, it } from "vitest";
import { startEcho } from "../support/echo-server.ts";
import { onlyPort, YamlMesh } from "../support/yaml-mesh.ts";

/** Zone-aware balancing from YAML to sockets: a sidecar of `web` in eu/eu-1 calls `ratings`. */

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const evenly = ["eu/eu-1/a", "eu/eu-2/a"];

describe("zoneAwareLbSetting", () => {
  // covers DestinationRule trafficPolicy.loadBalancer.zoneAwareLbSetting.minClusterSize
  // covers DestinationRule trafficPolicy.loadBalancer.zoneAwareLbSetting.enabled
  it.each([
    ["keeps requests in their zone", "minClusterSize: 2", evenly, ["eu-1"]],
    ["takes the whole region when endpoints are few", "", evenly, ["eu-1", "eu-2"]],
    [
      "takes all when it is off",
      "enabled: false, minClusterSize: 2",
      evenly,
      ["ap-1", "eu-1", "eu-2", "us-1"],
    ],
    // Three of four callers, but one of two endpoints: a third of their requests has to leave.
    [
      "lets go what a zone has no room for",
      "minClusterSize: 2",
      ["eu/eu-1/a", "eu/eu-1/a", "eu/eu-1/a", "eu/eu-2/a"],
      ["eu-1", "eu-2"],
    ],
  ])("%s", async (_title, setting, callers, expected) => {
    const served = await serve(`zoneAwareLbSetting: { ${setting} }`, callers, [
      "eu-1",
      "eu-2",
      "us-1",
      "ap-1",
    ]);
    expect([...served.keys()].sort()).toEqual(expected);
    if (callers !== evenly) {
      expect(served.get("eu-2")).toBeGreaterThan(15);
      expect(served.get("eu-2")).toBeLessThan(60);
    }
  });

  // covers DestinationRule trafficPolicy.loadBalancer.zoneAwareLbSetting.failover[], trafficPolicy.loadBalancer.zoneAwareLbSetting.failover[].to
  it("goes to the region that is named when its own has nothing", async () => {
    const setting = "zoneAwareLbSetting: { failover: [{ from: eu, to: ap }] }";
    expect([...(await serve(setting, evenly, ["us-1", "ap-1"])).keys()]).toEqual(["ap-1"]);
  });

  // covers DestinationRule trafficPolicy.loadBalancer.zoneAwareLbSetting.failoverPriority[]
  it("puts those first that share labels", async () => {
    const setting = "zoneAwareLbSetting: { failoverPriority: [tier=gold] }";
    expect([...(await serve(setting, evenly, ["eu-1", "us-1"], "us-1")).keys()]).toEqual(["us-1"]);
  });
});

/** Zone → how many of 120 requests it served. */
async function serve(
  setting: string,
  callers: readonly string[],
  zones: readonly string[],
  gold?: string,
): Promise<ReadonlyMap<string, number>> {
  const endpoints = await Promise.all(
    zones.map(async (zone) => {
      const app = await startEcho(zone);
      stops.push(() => app.stop());
      const place = `${zone.slice(0, 2)}/${zone}/a`;
      const tier = zone === gold ? "gold" : "plain";
      return `  - { address: 127.0.0.1, ports: { http: ${app.port} }, locality: ${place}, labels: { tier: ${tier} } }`;
    }),
  );
  const siblings = callers.map(
    (place, index) => `  - { address: 10.0.0.${index + 1}, locality: ${place}, labels: { app: web } }`,
  );
  const mesh = new YamlMesh();
  stops.push(() => mesh.stop());
  await mesh.apply(
    entry("ratings", endpoints),
    entry("web", siblings),
    `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ratings }
spec: { host: ratings, trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN, ${setting} } } }
`,
  );
  const proxy = await mesh.proxy({ locality: "eu/eu-1/a", labels: "app=web" });
  const served = new Map<string, number>();
  for (let sent = 0; sent < 120; sent++) {
    const url = `http://127.0.0.1:${onlyPort(proxy)}/`;
    const { headers, body } = await request(url, { headers: { host: "ratings" } });
    await body.dump();
    const zone = String(headers["x-served-by"]);
    served.set(zone, (served.get(zone) ?? 0) + 1);
  }
  return served;
}

function entry(name: string, endpoints: readonly string[]): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name} }
spec:
  hosts: [${name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http }]
  endpoints:
${endpoints.join("\n")}
`;
}
