import { describe, expect, it } from "vitest";
import type { Clock } from "../../common/base/clock.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { encodeMesh, sidecar } from "../../test/support/xds-mesh.ts";
import { takeDeltaRequest } from "./delta.ts";
import type { PushOutcome } from "./push-outcome.ts";
import { PushOutcomes, rememberedPushes } from "./push-outcome.ts";
import { PushQueue } from "./push-queue.ts";
import { ProxySession } from "./session.ts";

const push = (sequence: number) => ({ sequence, version: `v${sequence}` });

/** A session without subscriptions that is settled at what it was told last, or hangs. */
function session(name: string, sequence: number): ProxySession {
  const made = new ProxySession({
    peer: { node: sidecar(name), client: "weft", clientVersion: "" },
    address: "",
    responder: { protocol: "delta", send: () => true },
    source: { resourcesFor: () => encodeMesh({ clusters: {}, hosts: {} }) },
    clock: new FakeClock(),
    push: push(sequence),
    onAck: () => {},
    onNack: () => {},
    onFailure: () => {},
    onSettled: () => {},
  });
  const none = { subscribe: [], unsubscribe: [], initialVersions: new Map(), responseNonce: "" };
  // A type without resources and without an owed answer settles at once.
  takeDeltaRequest(made, { ...none, typeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster" });
  takeDeltaRequest(made, {
    ...none,
    typeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    responseNonce: "1",
  });
  return made;
}

describe("the outcome of a push", () => {
  it("is there at once when no proxy is connected", async () => {
    const outcomes = new PushOutcomes(() => {});
    outcomes.begin(push(1), [], 10);
    expect(await outcomes.whenDone("v1")).toEqual({ version: "v1", durationMs: 0, proxies: [] });
  });

  it("may be waited for before the push begins", async () => {
    const outcomes = new PushOutcomes(() => {});
    const waiting = outcomes.whenDone("v1");
    outcomes.begin(push(1), [], 10);
    expect((await waiting).version).toBe("v1");
  });

  it("comes for all pushes that were merged into the one that a proxy answered", () => {
    const done: PushOutcome[] = [];
    const outcomes = new PushOutcomes((outcome) => done.push(outcome));
    const proxy = session("p", 3);
    for (const sequence of [1, 2, 3]) outcomes.begin(push(sequence), [proxy], sequence);
    outcomes.settled(proxy, 10);
    expect(done.map(({ version, durationMs }) => [version, durationMs])).toEqual([
      ["v1", 9],
      ["v2", 8],
      ["v3", 7],
    ]);
  });

  it("does not take an answer to an older push for one to a newer", () => {
    const done: PushOutcome[] = [];
    const outcomes = new PushOutcomes((outcome) => done.push(outcome));
    const proxy = session("p", 1);
    outcomes.begin(push(2), [proxy], 0);
    outcomes.settled(proxy, 10);
    expect(done).toEqual([]);
  });

  it("gives up on a proxy that hangs, so that what is remembered stays bounded", () => {
    const done: PushOutcome[] = [];
    const outcomes = new PushOutcomes((outcome) => done.push(outcome));
    const proxy = session("hangs", 0);
    for (let sequence = 1; sequence <= rememberedPushes + 1; sequence++)
      outcomes.begin(push(sequence), [proxy], sequence);
    expect(done.map(({ version, proxies }) => [version, proxies[0]?.result])).toEqual([["v1", "silent"]]);
  });
});

describe("the push queue", () => {
  it("serves each that waits once, and lets others have their turn after a slice", async () => {
    const time = new FakeClock();
    let spentMs = 0;
    const clock: Clock = {
      now: () => time.now(),
      monotonic: () => time.monotonic() + spentMs,
      after: (ms, run) => time.after(ms, run),
      every: (ms, run) => time.every(ms, run),
    };
    const served: string[] = [];
    const queue = new PushQueue<string>(clock, (item) => {
      if (served.length === 0) time.after(0, () => served.push("another's turn"));
      served.push(item);
      spentMs += 6;
    });
    for (const item of ["a", "b", "gone", "a", "c"]) queue.add(item);
    queue.remove("gone");
    await time.advance(0);
    expect(served).toEqual(["a", "b", "another's turn", "c"]);
    expect([queue.size, time.pendingTimers]).toEqual([0, 0]);
  });

  it("forgets all when it stops", async () => {
    const clock = new FakeClock();
    const served: string[] = [];
    const queue = new PushQueue<string>(clock, (item) => served.push(item));
    queue.add("a");
    queue.stop();
    await clock.advance(10);
    expect(served).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });
});
