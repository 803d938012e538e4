import { describe, expect, it } from "vitest";
import { makeIntermediate, makeLeaf, makeLeafKey, makeRoot } from "../../control-plane/ca/certificates.ts";
import { readSigningRequest } from "../../control-plane/ca/signing-request.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { IdentityKeeper } from "./identity-keeper.ts";

const hour = 3_600_000;
const clock = () => new FakeClock(Math.floor(Date.now() / 1000) * 1000);
const review = { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "review" };

async function scene(time: FakeClock, chance = 0) {
  const validity = { notBefore: time.now() - hour, notAfter: time.now() + 1_000 * hour };
  const root = await makeRoot("cluster.local", "root", validity);
  const authority = await makeIntermediate("cluster.local", "intermediate", validity, root);
  const events: string[] = [];
  let wake = (): void => {};
  const next = (event: string): void => {
    events.push(event);
    wake();
  };
  let fails = 0;
  let identity = review;
  let forOtherKey = false;
  const keeper = new IdentityKeeper({
    namespace: "shop",
    serviceAccount: "review",
    spiffeId: "spiffe://cluster.local/ns/shop/sa/review",
    request: async (csr) => {
      if (fails-- > 0) throw new Error("nobody answers");
      const read = await readSigningRequest(csr);
      if (!read.ok) throw new Error(read.why);
      const { publicKey } = forOtherKey ? await makeLeafKey() : read;
      const times = { notBefore: time.now() - 1_000, notAfter: time.now() + 24 * hour };
      return [
        await makeLeaf(publicKey, { identity }, times, authority),
        authority.certificate,
        root.certificate,
      ];
    },
    clock: time,
    random: () => chance,
    events: {
      renewed: () => next("renewed"),
      failed: (why, retryMs) => next(`${why}, again in ${retryMs}`),
    },
  });
  /** Resolves with the event that comes when `ms` have passed; keys are made outside of the clock's sight. */
  const eventAfter = async (ms: number): Promise<string> => {
    const seen = events.length;
    const come = new Promise<void>((resolve) => {
      wake = resolve;
    });
    if (ms > 0) await time.advance(ms);
    else await keeper.start();
    if (events.length === seen) await come;
    return events.at(-1)!;
  };
  return {
    keeper,
    events,
    eventAfter,
    fail: (times: number) => {
      fails = times;
    },
    give: (other: Partial<typeof review>, otherKey = false) => {
      identity = { ...review, ...other };
      forOtherKey = otherKey;
    },
  };
}

describe("a workload's identity", () => {
  it.each([
    [0, 12],
    [1, 9.6],
  ])(
    "is renewed when half of its life is over, up to a tenth earlier by chance (%d)",
    async (chance, hours) => {
      const time = clock();
      const { keeper, events, eventAfter } = await scene(time, chance);
      expect(await eventAfter(0)).toBe("renewed");
      const first = keeper.current!;
      await time.advance(hours * hour - 1_000);
      expect(events).toEqual(["renewed"]);
      expect(await eventAfter(1_000)).toBe("renewed");
      expect(keeper.current!.privateKey).not.toBe(first.privateKey);
      await keeper.stop();
      expect(time.pendingTimers).toBe(0);
    },
  );

  it("stays as it is while nobody answers, and asks more and more seldom", async () => {
    const time = clock();
    const { keeper, eventAfter, fail } = await scene(time, 1);
    await eventAfter(0);
    const { chain } = keeper.current!;
    fail(8);
    expect(await eventAfter(9.6 * hour)).toBe("nobody answers, again in 500");
    const waits = [];
    for (let wait = 500; wait < 30_000; ) {
      wait = Number((await eventAfter(wait)).split(" ").at(-1));
      waits.push(wait);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000]);
    expect(keeper.current!.chain).toBe(chain);
    expect(await eventAfter(30_000)).toBe("nobody answers, again in 30000");
    expect(await eventAfter(30_000)).toBe("renewed");
    expect([keeper.renewals, keeper.failures]).toEqual([2, 8]);
    await keeper.stop();
  });

  it("is not taken when it is somebody else's or for another key", async () => {
    const { keeper, eventAfter, give } = await scene(clock(), 1);
    give({ serviceAccount: "till" });
    expect(await eventAfter(0)).toMatch(
      /^the certificate that came is for cluster\.local\/ns\/shop\/sa\/till,/,
    );
    give({}, true);
    expect(await eventAfter(500)).toMatch(/^the certificate that came is for another key,/);
    expect(keeper.current).toBeUndefined();
    await keeper.stop();
  });
});
