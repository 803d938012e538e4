import { describe, expect, it } from "vitest";
import { direct } from "../../bench/peers/direct.ts";
import { httpProxy } from "../../bench/peers/http-proxy.ts";
import type { PeerKind } from "../../bench/peers/peer.ts";
import { weft, weftBare } from "../../bench/peers/weft.ts";
import { hop } from "../../bench/scenarios/hop.ts";
import { printHop } from "../../bench/scenarios/hop-table.ts";
import { start } from "../../bench/scenarios/start.ts";

describe("the benchmark", () => {
  it("measures a hop through the real proxy, with nothing installed", async () => {
    const result = await shortHop([weft, direct]);
    const { rows, absent } = result;
    expect(absent).toEqual([]);
    const [through, none] = rows;
    expect(through).toMatchObject({ peer: "Weft", errors: 0 });
    expect(none).toMatchObject({ peer: "no proxy", errors: 0 });
    for (const row of rows) {
      expect(row.requestsPerSecond).toBeGreaterThan(50);
      expect(row.p99Ms).toBeGreaterThanOrEqual(row.p50Ms);
      expect(row.calmP99Ms).toBeGreaterThanOrEqual(row.calmP50Ms);
    }
    expect(printHop(result)).toMatch(/^\| Weft +\| +[\d,]+ \|/m);
  });

  it("measures CPU and memory of the proxy's process", { skip: process.platform !== "linux" }, async () => {
    const { rows } = await shortHop([httpProxy]);
    expect(rows[0]!.cpuMicrosPerRequest).toBeGreaterThan(1);
    expect(rows[0]!.rssMb).toBeGreaterThan(rows[0]!.privateMb!);
  });

  it("goes on without a peer that cannot be had, and says why", async () => {
    const missing: PeerKind = { ...weftBare, install: async () => ({ ok: false, why: "no such program" }) };
    const broken: PeerKind = {
      ...direct,
      name: "broken",
      start: () => Promise.reject(new Error("it fell over")),
    };
    const result = await shortHop([missing, broken, direct]);
    expect(result.rows.map(({ peer }) => peer)).toEqual(["no proxy"]);
    expect(printHop(result)).toContain(
      "- Weft bare took no part: no such program\n- broken took no part: it fell over",
    );
  });

  it("measures how long things take to come up", async () => {
    const { loadXdsTypesMs, startToReadyMs } = await start({ rounds: 1, say: () => {} });
    expect(loadXdsTypesMs).toBeGreaterThan(0);
    expect(startToReadyMs).toBeGreaterThan(loadXdsTypesMs);
  });
});

function shortHop(peers: readonly PeerKind[]) {
  return hop({
    peers,
    rounds: 1,
    roundMs: 300,
    connections: 8,
    bodyBytes: 100,
    tools: "node",
    rate: 200,
    waitForCalm: async () => true,
    say: () => {},
  });
}
