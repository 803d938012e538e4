import type { NetworkInterfaceInfo } from "node:os";
import { describe, expect, it } from "vitest";
import type { ProxyOptions } from "./config.ts";
import { readProxySettings } from "./config.ts";

const sidecar: ProxyOptions = {
  kind: "sidecar",
  name: "review-v1",
  namespace: "shop",
  serviceAccount: "review",
  labels: "app=review,version=v1",
  controlPlane: "127.0.0.1:15010",
  outbound: "127.0.0.1:15001",
  inbound: "[::1]:15006",
  app: "localhost:8080",
  admin: "127.0.0.1:15000",
};

function networkInterface(address: string, internal: boolean) {
  const family = address.includes(":") ? ("IPv6" as const) : ("IPv4" as const);
  const rest = { netmask: "", mac: "", internal, cidr: null, scopeid: 0 };
  return { address, family, ...rest } as NetworkInterfaceInfo;
}

describe("readProxySettings", () => {
  describe("where connections are captured", () => {
    const captured: ProxyOptions = { kind: "sidecar", name: "a", capture: "on" };
    const interfaces =
      (...addresses: readonly string[]) =>
      () => ({
        lo: [networkInterface("127.0.0.1", true)],
        eth0: addresses.map((address) => networkInterface(address, false)),
      });

    it("listens at Istio's ports for IPv4, and says by which addresses the workload is known", () => {
      const result = readProxySettings(captured, {}, interfaces("10.1.0.7"));
      if (!result.ok) throw new Error(JSON.stringify(result.problems));
      expect(result.value.node).toMatchObject({ id: "sidecar~10.1.0.7~a.default~default.svc.cluster.local" });
      expect(result.value.node.addresses).toEqual(["10.1.0.7"]);
      expect(result.value.node.bindings).toEqual({
        outbound: { host: "0.0.0.0", port: 15001 },
        inbound: { host: "0.0.0.0", port: 15006 },
        captures: true,
        dns: [{ host: "127.0.0.1", port: 15053 }],
        servers: new Map(),
      });
    });

    it("listens for both where there is IPv6, and answers no questions when told not to", () => {
      const result = readProxySettings({ ...captured, dns: "off" }, {}, interfaces("10.1.0.7", "fd77::7"));
      if (!result.ok) throw new Error(JSON.stringify(result.problems));
      expect(result.value.node.bindings).toMatchObject({ outbound: { host: "::", port: 15001 } });
      expect(result.value.node.bindings.dns).toBeUndefined();
      const asked = readProxySettings({ ...captured, dns: "5353" }, {}, interfaces("fd77::7"));
      expect(asked.ok && asked.value.node.bindings.dns).toEqual([
        { host: "127.0.0.1", port: 5353 },
        { host: "::1", port: 5353 },
      ]);
    });

    it("says what is wrong", () => {
      for (const [options, path] of [
        [{ ...captured, capture: "yes" }, "--capture"],
        [{ ...captured, dns: "70000" }, "--dns"],
        [{ ...captured, capture: "off", dns: "5353" }, "--dns"],
      ] as const) {
        const result = readProxySettings(options, {}, interfaces("10.1.0.7"));
        expect(!result.ok && result.problems.map((problem) => problem.path)).toEqual([path]);
      }
    });
  });

  it("reads a sidecar's flags", () => {
    const result = readProxySettings(sidecar, {});
    if (!result.ok) throw new Error(JSON.stringify(result.problems));
    expect(result.value.node).toEqual({
      id: "sidecar~::1~review-v1.shop~shop.svc.cluster.local",
      kind: "sidecar",
      name: "review-v1",
      namespace: "shop",
      serviceAccount: "review",
      labels: { app: "review", version: "v1" },
      onDemand: true,
      bindings: {
        outbound: { host: "127.0.0.1", port: 15001 },
        inbound: { host: "::1", port: 15006 },
        app: { host: "localhost", port: 8080 },
        servers: new Map(),
      },
    });
    expect(result.value.controlPlane).toEqual({ host: "127.0.0.1", port: 15010 });
    expect(Object.isFrozen(result.value)).toBe(true);
    expect("stateDirectory" in result.value).toBe(false);
  });

  it("lets a sidecar ask on demand unless it is told not to, and a gateway never", () => {
    const settingsOf = (more: Partial<ProxyOptions>, environment = {}) => {
      const read = readProxySettings({ ...sidecar, ...more }, environment);
      return read.ok ? [read.value.node.onDemand, read.value.onDemand?.idleMs] : read.problems;
    };
    expect(settingsOf({})).toEqual([true, 3_600_000]);
    expect(settingsOf({}, { WEFT_ON_DEMAND: "10m" })).toEqual([true, 600_000]);
    expect(settingsOf({ onDemand: "off" }, { WEFT_ON_DEMAND: "10m" })).toEqual([undefined, undefined]);
    expect(settingsOf({ kind: "gateway" })).toEqual([undefined, undefined]);
    expect(settingsOf({ onDemand: "never" })).toMatchObject([{ path: "--on-demand" }]);
  });

  it("reads a gateway's bindings", () => {
    const result = readProxySettings(
      { kind: "gateway", name: "gw", bind: ["80=127.0.0.1:8080", "443=0.0.0.0:8443"] },
      {},
    );
    expect(result.ok && [...result.value.node.bindings.servers]).toEqual([
      [80, { host: "127.0.0.1", port: 8080 }],
      [443, { host: "0.0.0.0", port: 8443 }],
    ]);
  });

  it("says everything that is wrong at once, by flag", () => {
    const result = readProxySettings(
      {
        kind: "sidecar",
        labels: "app",
        controlPlane: "nowhere",
        inbound: "127.0.0.1:70000",
        bind: ["x", "80=127.0.0.1:1", "80=127.0.0.1:2"],
        drain: "5",
        accessLog: "xml",
        logLevel: "loud",
      },
      {},
    );
    expect(!result.ok && result.problems.map(({ path }) => path)).toEqual([
      "--name",
      "--inbound",
      "--bind",
      "--bind",
      "--app",
      "--labels",
      "--control-plane",
      "--log-level",
      "--access-log",
      "--drain",
    ]);
  });

  it("keeps a label named __proto__ as just a label", () => {
    const result = readProxySettings({ ...sidecar, labels: "__proto__=x" }, {});
    expect(result.ok && Object.entries(result.value.node.labels)).toEqual([["__proto__", "x"]]);
  });

  it("takes flags before the environment", () => {
    const environment = { WEFT_ACCESS_LOG: "json", WEFT_DRAIN: "1s" };
    const result = readProxySettings({ ...sidecar, accessLog: "text" }, environment);
    expect(result.ok && [result.value.accessLog, result.value.terminationDrainMs]).toEqual(["text", 1_000]);
  });
});
