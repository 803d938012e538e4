import { describe, expect, it } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { createLog } from "./log.ts";
import { OutageLog } from "./outage-log.ts";

const server = "127.0.0.1:15010";

function logged() {
  const lines: string[] = [];
  const clock = new FakeClock();
  const log = createLog("info", (line) => {
    const { level, msg } = JSON.parse(line) as { level: string; msg: string };
    lines.push(`${level} ${msg}`);
  });
  return { lines, clock, outage: new OutageLog(log, clock) };
}

describe("the log of outages", () => {
  it("warns of none that ends soon", async () => {
    const { lines, clock, outage } = logged();
    outage.connected(server);
    outage.disconnected(server, "14 UNAVAILABLE: Connection dropped", 100);
    for (let attempt = 0; attempt < 4; attempt++) {
      await clock.advance(1000);
      outage.disconnected(server, "14 UNAVAILABLE: ECONNREFUSED. Resolution note: ", 1000);
    }
    outage.connected(server);
    expect(lines).toEqual([
      "info connected to the control plane",
      "info no control plane; serving what is known",
      "info connected to the control plane",
    ]);
  });

  it("warns once of one that lasts, and says at the same level when it is over", async () => {
    const { lines, clock, outage } = logged();
    for (let attempt = 0; attempt < 9; attempt++) {
      outage.disconnected(server, "14 UNAVAILABLE", 1000);
      await clock.advance(1000);
    }
    outage.connected(server);
    expect(lines).toEqual([
      "info no control plane; serving what is known",
      "warn no control plane since 5 s; serving what is known",
      "warn connected to the control plane again",
    ]);
  });
});
