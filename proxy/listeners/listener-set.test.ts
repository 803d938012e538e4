import { Resolver } from "node:dns/promises";
import { connect, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import type { Listener } from "../../common/model/listener.ts";
import { listener } from "../../test/support/proxy-resources.ts";
import { UpstreamResolver } from "../dns/upstream-resolver.ts";
import { meshError } from "../errors.ts";
import { defaultHttpServerSettings } from "../http/http-server.ts";
import type { ListenerSetParts } from "./listener-set.ts";
import { ListenerSet } from "./listener-set.ts";
import { OpenDns } from "./open-dns.ts";

describe("ListenerSet", () => {
  it.each([
    ["drain", (set: ListenerSet) => void set.drain(0, 0)],
    ["stop", (set: ListenerSet) => set.stop()],
  ])("leaves no port open that was about to open when its %s began", async (_, leave) => {
    const set = newSet();
    const port = await freePort();
    const applied = set.apply([listener("late", "r", { port })], []);
    leave(set);
    expect((await applied).size).toBe(0);
    expect(set.get("late")).toBeUndefined();
    await expect(listenOn(port)).resolves.toBe(port);
  });

  it("gives a redirected connection to the listener of its address only in its own direction", async () => {
    const meant = { host: "192.0.2.1", port: 9000 };
    const heard: string[] = [];
    const set = newSet({
      originalDestination: () => meant,
      tcp: { opened: () => {}, closed: ({ downstream }) => void heard.push(downstream.listener) },
    });
    const tcp = { statPrefix: "x", destinations: [{ cluster: "x", weight: 1 }] };
    const filterChains = [{ name: "x", tcp }];
    const base = { address: "127.0.0.1", port: 0, filterChains } as const;
    await set.apply(
      [
        { ...base, name: "in", direction: "inbound", usesOriginalDestination: true },
        { ...base, name: "out", direction: "outbound", usesOriginalDestination: true },
        { ...base, name: "9000", direction: "outbound", ...meant, address: "0.0.0.0", bindsPort: false },
      ],
      [],
    );
    for (const name of ["in", "out"]) {
      const socket = connect(set.get(name)!.port, "127.0.0.1");
      socket.on("error", () => {}).resume();
      await new Promise((resolve) => socket.once("close", resolve));
    }
    expect(heard).toEqual(["in", "9000"]);
    set.stop();
  });

  it("opens what answers questions, gives it new names, and refuses it where nobody can answer", async () => {
    const resolver = new UpstreamResolver({ servers: [], clock: systemClock, random: () => 0.5 });
    const answered: string[] = [];
    const onAnswer = (from: string): void => void answered.push(from);
    const openDns = (asked: Listener) => new OpenDns(asked, { clock: systemClock, resolver, onAnswer });
    const set = newSet({ openDns });
    const dns = (address: string): Listener => ({
      name: "dns",
      address: "127.0.0.1",
      port: 0,
      direction: "outbound",
      filterChains: [],
      dns: { domains: [{ name: "shop.example", addresses: [address], ttlSeconds: 30 }] },
    });
    for (const address of ["192.0.2.1", "192.0.2.2"]) {
      expect((await set.apply([dns(address)], [])).size).toBe(0);
      const asking = new Resolver();
      asking.setServers([`127.0.0.1:${set.get("dns")!.port}`]);
      expect(await asking.resolve4("shop.example")).toEqual([address]);
    }
    expect(answered).toEqual(["mesh", "mesh"]);
    set.stop();
    const problems = await newSet().apply([dns("192.0.2.1")], []);
    expect(problems.get("dns")?.[0]?.path).toBe("dns");
  });
});

function newSet(parts: Partial<ListenerSetParts> = {}): ListenerSet {
  return new ListenerSet({
    settings: defaultHttpServerSettings,
    clock: systemClock,
    certificateRefreshMs: 5_000,
    drainMs: 0,
    onRejected: () => {},
    onCertificateProblem: () => {},
    originalDestination: () => undefined,
    tcp: { opened: () => {}, closed: () => {} },
    openTcp: () => Promise.reject(meshError("no_cluster")),
    serviceFor: () => () => Promise.reject(meshError("no_route")),
    ...parts,
  });
}

const freePort = () => listenOn(0);

/** Opens a port and closes it again; rejects when it is taken. */
function listenOn(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      const found = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(found));
    });
  });
}
