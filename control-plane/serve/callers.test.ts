import { describe, expect, it } from "vitest";
import type { PeerIdentity } from "../../common/model/identity.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import type { CallerStream } from "./callers.ts";
import { Callers } from "./callers.ts";
import { PacedReader } from "./pace.ts";
import { refusalLog } from "./refusal-log.ts";

const limits = {
  streams: 2,
  nameLength: 100,
  certificates: { burst: 2, perSecond: 1 },
  onLoopback: 3,
};
const identity = (principal: string) => ({ principal }) as PeerIdentity;

describe("callers", () => {
  it("have a number of streams each, by identity and address without the port, and more on this machine", () => {
    const callers = new Callers(limits, new FakeClock());
    const enter = (address: string, who?: string) => callers.enter(address, who ? identity(who) : undefined);
    const first = enter("10.0.0.1:1") as CallerStream;
    expect([enter("10.0.0.1:2"), enter("10.0.0.1:3")]).toEqual([
      expect.anything(),
      "10.0.0.1 has 2 streams open already, which is the most for one caller",
    ]);
    expect(typeof enter("10.0.0.2:3")).toBe("object");
    expect(typeof enter("10.0.0.1:4", "a")).toBe("object");
    first.leave();
    first.leave();
    expect(typeof enter("10.0.0.1:5")).toBe("object");
    expect(typeof enter("10.0.0.1:6")).toBe("string");
    const here = Array.from({ length: 7 }, (_, index) => typeof enter(`::1:${index}`));
    expect(here).toEqual([...Array(6).fill("object"), "string"]);
  });

  it("hold names for all their streams together, and give them back", () => {
    const callers = new Callers(limits, new FakeClock());
    const [one, other] = [callers.enter("10.0.0.1:1", undefined), callers.enter("10.0.0.1:2", undefined)];
    if (typeof one === "string" || typeof other === "string") throw new Error("no place");
    expect([one.holds(60), other.holds(40), other.holds(41)]).toEqual([true, true, false]);
    expect(one.holds(10)).toBe(true);
    one.leave();
    expect([other.holds(100), one.holds(1)]).toEqual([true, false]);
  });

  it("get certificates at a pace of their own", async () => {
    const clock = new FakeClock();
    const callers = new Callers(limits, clock);
    const ask = (who: string) => callers.mayCertify("10.0.0.1:1", identity(who));
    expect([ask("a"), ask("a"), ask("a"), ask("b")]).toEqual([true, true, false, true]);
    await clock.advance(1_000);
    expect([ask("a"), ask("a")]).toEqual([true, false]);
  });
});

describe("a paced reader", () => {
  it("leaves a stream unread while it came too fast, and goes on when its time is over", async () => {
    const clock = new FakeClock();
    const seen: string[] = [];
    const stream = { pause: () => seen.push("pause"), resume: () => seen.push("resume") };
    const reader = new PacedReader(stream, { burst: 3, perSecond: 10 }, clock);
    reader.took(1);
    reader.took(1);
    expect(seen).toEqual([]);
    reader.took(1);
    reader.took(20);
    expect(seen).toEqual(["pause"]);
    await clock.advance(150);
    expect(seen).toEqual(["pause", "resume"]);
    reader.took(1);
    expect(seen.at(-1)).toBe("pause");
    reader.stop();
    await clock.advance(60_000);
    expect(seen).toEqual(["pause", "resume", "pause"]);
  });
});

describe("the log of refusals", () => {
  it("does not let a caller fill it", async () => {
    const clock = new FakeClock();
    const lines: string[] = [];
    const tell = refusalLog((text) => lines.push(text), clock);
    for (let count = 0; count < 1_000; count++) tell(`no ${count}`);
    expect(lines).toHaveLength(50);
    await clock.advance(1_000);
    tell("again");
    expect(lines.at(-1)).toBe("again (950 more were refused meanwhile)");
  });
});
