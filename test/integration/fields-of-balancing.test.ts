import type { RequestListener } from "node:http";
import { request } from "undici";
import { describe, expect, it } from "vitest";
import type { ProxyApp } from "../../proxy/app.ts";
import type { ProxyOptions } from "../../proxy/config.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import { onlyPort, resourceYaml } from "../support/yaml-mesh.ts";

/** What each field of a DestinationRule's loadBalancer does, from YAML to which endpoint answers. */

const { after, meshOf } = sceneOfEachTest();

const users = Array.from({ length: 60 }, (_, index) => `user-${index}`);

describe("a balancer", () => {
  // covers DestinationRule trafficPolicy.loadBalancer.simple
  it("gives each its turn, or chooses by chance", async () => {
    const inTurn = await service("{ simple: ROUND_ROBIN }", 3);
    expect(counts(await many(30, inTurn.by))).toEqual({ a: 10, b: 10, c: 10 });
    const byChance = await service("{ simple: RANDOM }", 3);
    const served = await many(60, byChance.by);
    const repeats = served.filter((name, index) => name === served[index - 1]).length;
    expect(repeats).toBeGreaterThan(4);
  });

  // covers DestinationRule trafficPolicy.loadBalancer.warmupDurationSecs
  it("warms up by the old name as by the new one", async () => {
    const warmups = ["warmupDurationSecs: 30s", "warmup: { duration: 30s }"].map(async (field) => {
      const { proxy } = await service(`{ ${field} }`, 1);
      return [...proxy.config().received.cluster.values()].map(({ value }) => value.loadBalancer);
    });
    const [old, now] = await Promise.all(warmups);
    expect(old).toEqual(now);
    expect(JSON.stringify(old)).toContain('"durationMs":30000');
  });
});

describe("consistent hashing", () => {
  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.httpHeaderName
  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.httpQueryParameterName
  it.each([
    ["a header", "httpHeaderName: X-User", (user: string): Ask => ({ headers: { "x-user": user } })],
    [
      "a query parameter",
      "httpQueryParameterName: user",
      (user: string): Ask => ({ path: `/?a=b&user=${user}` }),
    ],
  ])("keeps who is named by %s at one endpoint", async (_key, field, ask) => {
    const { by } = await service(`{ consistentHash: { ${field} } }`, 3);
    const picks = async () => Promise.all(users.map((user) => by(ask(user))));
    const first = await picks();
    expect(await picks()).toEqual(first);
    expect(Object.keys(counts(first)).sort()).toEqual(["a", "b", "c"]);
  });

  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.useSourceIp
  it("keeps an address at one endpoint", async () => {
    const { by } = await service("{ consistentHash: { useSourceIp: true } }", 3);
    expect(new Set(await many(20, by)).size).toBe(1);
  });

  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.httpCookie.name
  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.httpCookie.path
  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.httpCookie.ttl
  it("makes a cookie for who has none, and goes by it afterwards", async () => {
    const { send } = await service(
      "{ consistentHash: { httpCookie: { name: stick, path: /shop, ttl: 90s } } }",
      3,
    );
    const first = await send({});
    const made = /^stick="?([^";]+)"?; Max-Age=90; Path=\/shop; HttpOnly$/.exec(
      String(first.headers["set-cookie"]),
    );
    expect(made, String(first.headers["set-cookie"])).not.toBeNull();
    for (let count = 0; count < 10; count++) {
      const again = await send({ headers: { cookie: `stick=${made![1]}` } });
      expect(again.headers["x-served-by"]).toBe(first.headers["x-served-by"]);
      expect(again.headers).not.toHaveProperty("set-cookie");
    }
    const without = await service("{ consistentHash: { httpCookie: { name: stick } } }", 3);
    expect((await without.send({})).headers).not.toHaveProperty("set-cookie");
  });

  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize
  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.maglev.tableSize
  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.minimumRingSize
  it("picks by the size of the ring or table that is named", async () => {
    const echoes = await startEchoes(3);
    const picks = async (size: string) => {
      const { by } = await service(
        `{ consistentHash: { httpHeaderName: x-user${size} } }`,
        3,
        {},
        { echoes },
      );
      return Promise.all(users.map((user) => by({ headers: { "x-user": user } })));
    };
    const ring = await picks("");
    expect(await picks(", ringHash: { minimumRingSize: 1024 }")).toEqual(ring);
    const small = await picks(", ringHash: { minimumRingSize: 3 }");
    expect(small).not.toEqual(ring);
    expect(await picks(", minimumRingSize: 3")).toEqual(small);
    const table = await picks(", maglev: {}");
    expect(await picks(", maglev: { tableSize: 65537 }")).toEqual(table);
    expect(await picks(", maglev: { tableSize: 5 }")).not.toEqual(table);
  });
});

describe("locality", () => {
  const caller = { locality: "eu/a" };
  const places = ["eu/a", "eu/b", "us/a", "ap/a"];

  // covers DestinationRule trafficPolicy.loadBalancer.localityLbSetting.enabled
  // covers ServiceEntry endpoints[].locality
  it("prefers what is near, unless it is turned off", async () => {
    const near = await service("{ simple: ROUND_ROBIN, localityLbSetting: { enabled: true } }", 4, caller, {
      places,
    });
    expect(counts(await many(20, near.by))).toEqual({ a: 20 });
    const off = await service("{ simple: ROUND_ROBIN, localityLbSetting: { enabled: false } }", 4, caller, {
      places,
    });
    expect(counts(await many(20, off.by))).toEqual({ a: 5, b: 5, c: 5, d: 5 });
  });

  // covers DestinationRule trafficPolicy.loadBalancer.localityLbSetting.distribute[].from
  // covers DestinationRule trafficPolicy.loadBalancer.localityLbSetting.distribute[].to{}
  it("divides by percents from where the caller is", async () => {
    const distribute =
      "distribute: [{ from: 'us/*', to: { 'us/*': 100 } }, { from: 'eu/a/*', to: { 'eu/b/*': 20, 'us/*': 80 } }]";
    const { by } = await service(`{ simple: ROUND_ROBIN, localityLbSetting: { ${distribute} } }`, 4, caller, {
      places,
    });
    const served = counts(await many(200, by));
    expect(Object.keys(served).sort()).toEqual(["b", "c"]);
    expect(served["c"]).toBeGreaterThan(130);
    expect(served["c"]).toBeLessThan(185);
  });

  // covers DestinationRule trafficPolicy.loadBalancer.localityLbSetting.failover[].from
  // covers DestinationRule trafficPolicy.loadBalancer.localityLbSetting.failover[].to
  // covers DestinationRule subsets[].trafficPolicy, trafficPolicy.portLevelSettings[].loadBalancer
  it("goes to the region that is named when its own has nobody", async () => {
    const failover = "{ simple: ROUND_ROBIN, localityLbSetting: { failover: [{ from: eu, to: ap }] } }";
    const from = { places: ["us/a", "us/b", "ap/a", "ap/b"] };
    const { by } = await service(failover, 4, caller, from);
    expect(Object.keys(counts(await many(20, by))).sort()).toEqual(["c", "d"]);
    const policies = [
      `subsets: [{ name: all, trafficPolicy: { loadBalancer: ${failover} } }]`,
      `trafficPolicy: { portLevelSettings: [{ port: { number: 80 }, loadBalancer: ${failover} }] }\nsubsets: [{ name: all }]`,
    ];
    for (const rule of policies) {
      const elsewhere = await service("", 4, caller, { ...from, rule, subset: "all" });
      expect(Object.keys(counts(await many(20, elsewhere.by))).sort(), rule).toEqual(["c", "d"]);
    }
  });

  // covers DestinationRule trafficPolicy.loadBalancer.localityLbSetting.failoverPriority[]
  it("prefers who shares the labels that are named", async () => {
    const setting = "{ simple: ROUND_ROBIN, localityLbSetting: { failoverPriority: [version, 'team=red'] } }";
    const { by } = await service(setting, 3, { labels: "version=b" }, {});
    expect(counts(await many(12, by))).toEqual({ b: 12 });
  });
});

interface Ask {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Shape {
  readonly echoes?: readonly EchoServer[];
  /** The locality of each endpoint. */
  readonly places?: readonly string[];
  /** In place of a trafficPolicy with the balancer. */
  readonly rule?: string;
  readonly subset?: string;
}

/** A sidecar and a service of so many endpoints, called a, b, c …, each with its name as its version. */
async function service(
  balancer: string,
  size: number,
  options: Partial<ProxyOptions> = {},
  shape: Shape = {},
) {
  const echoes = shape.echoes ?? (await startEchoes(size));
  const destination = shape.subset === undefined ? "{ host: svc }" : `{ host: svc, subset: ${shape.subset} }`;
  const yaml = [
    resourceYaml(
      "ServiceEntry",
      "svc",
      `hosts: [svc]\nlocation: MESH_INTERNAL\nresolution: STATIC\nports: [{ number: 80, name: http }]\nendpoints:\n${echoes
        .map(({ name, port }, index) => {
          const place = shape.places?.[index];
          const locality = place === undefined ? "" : `, locality: ${place}`;
          return `- { address: 127.0.0.1, ports: { http: ${port} }, labels: { version: ${name} }${locality} }`;
        })
        .join("\n")}`,
    ),
    resourceYaml(
      "DestinationRule",
      "svc",
      `host: svc\n${shape.rule ?? `trafficPolicy: { loadBalancer: ${balancer} }`}`,
    ),
    resourceYaml(
      "VirtualService",
      "svc",
      `hosts: [svc]\nhttp: [{ route: [{ destination: ${destination} }] }]`,
    ),
  ];
  const mesh = await meshOf(...yaml);
  const proxy = await mesh.proxy(options);
  const ask = (one: Ask) => send(proxy, one);
  return {
    proxy,
    send: ask,
    by: async (one: Ask = {}) => String((await ask(one)).headers["x-served-by"]),
  };
}

async function startEchoes(count: number, handle?: RequestListener): Promise<readonly EchoServer[]> {
  const echoes = await Promise.all(Array.from("abcdefgh".slice(0, count), (name) => startEcho(name, handle)));
  after(() => Promise.all(echoes.map((echo) => echo.stop())));
  return echoes;
}

async function send(proxy: ProxyApp, { path = "/", headers = {} }: Ask) {
  const answer = await request(`http://127.0.0.1:${onlyPort(proxy)}${path}`, {
    headers: { ...headers, host: "svc" },
  });
  await answer.body.dump();
  return answer;
}

/** One after the other. */
async function many(count: number, by: () => Promise<string>): Promise<string[]> {
  const served: string[] = [];
  for (let index = 0; index < count; index++) served.push(await by());
  return served;
}

function counts(names: readonly string[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]));
}
