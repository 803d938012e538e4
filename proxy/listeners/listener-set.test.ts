import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { listener } from "../../test/support/proxy-resources.ts";
import { meshError } from "../errors.ts";
import { defaultHttpServerSettings } from "../http/http-server.ts";
import { ListenerSet } from "./listener-set.ts";

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
});

function newSet(): ListenerSet {
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
