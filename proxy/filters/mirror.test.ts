import { describe, expect, it } from "vitest";
import { seededRandom } from "../../common/base/random.ts";
import type { Mirror } from "../../common/model/route.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { plainRoute } from "../../test/support/routes.ts";
import { meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Service } from "../http/layer.ts";
import { describeFilter, exchangeOf, FilterScene, forwardRoute, responseOf, textOf } from "./contract.ts";
import { mirror } from "./mirror.ts";

function mirroring(...mirrors: Partial<Mirror>[]) {
  const plain = { destination: "v2", fraction: 1, shadowHostSuffix: false };
  return forwardRoute({ mirrors: mirrors.map((given) => ({ ...plain, ...given })) });
}

describeFilter(mirror, mirroring({}));

/** A mirror that remembers what it got, and what it has read of it. */
function recorder() {
  const got: Exchange[] = [];
  const bodies: string[] = [];
  const service: Service = async (exchange) => {
    got.push(exchange);
    bodies.push(await textOf(exchange.body));
    return responseOf(500, "mirror's answer");
  };
  return { got, bodies, service };
}

const hanging: Service = (exchange) => new Promise((_resolve, reject) => exchange.whenCancelled(reject));

describe("mirror", () => {
  it("is off without mirrors", () => {
    expect(mirror.build(plainRoute("a"), new FilterScene().context)).toBeUndefined();
  });

  it("sends a copy of everything and hands on the primary's answer", async () => {
    const copies = recorder();
    const scene = new FilterScene().upstream("v2", copies.service);
    const exchange = exchangeOf({
      method: "POST",
      path: "/a?b",
      headers: ["X-A", "1", "Expect", "100-continue"],
      body: Body.of(Buffer.from("hello")),
    });
    const answer = await scene.wrap(mirror, mirroring({}), async (given) => {
      given.headers.set("x-later", "1");
      return responseOf(200, `primary got ${await textOf(given.body)}`);
    })(exchange);
    expect(await textOf(answer.body)).toBe("primary got hello");
    await settle();
    const [copy] = copies.got;
    expect(copies.bodies).toEqual(["hello"]);
    expect([copy?.method, copy?.path, copy?.authority]).toEqual(["POST", "/a?b", "reviews"]);
    expect(copy?.headers.raw).toEqual(["X-A", "1"]);
    expect(scene.clock.pendingTimers).toBe(0);
  });

  it("appends -shadow before the port when asked", async () => {
    const copies = recorder();
    const scene = new FilterScene().upstream("v2", copies.service);
    const exchange = exchangeOf({ authority: "reviews:9080" });
    await scene.wrap(mirror, mirroring({ shadowHostSuffix: true }), async () => responseOf())(exchange);
    expect(copies.got[0]?.authority).toBe("reviews-shadow:9080");
    expect(exchange.authority).toBe("reviews:9080");
  });

  it("mirrors to each target by its own share", async () => {
    const [half, none, all] = [recorder(), recorder(), recorder()];
    const scene = new FilterScene(seededRandom(2));
    scene.upstream("half", half.service).upstream("none", none.service).upstream("all", all.service);
    const route = mirroring(
      { destination: "half", fraction: 0.5 },
      { destination: "none", fraction: 0 },
      { destination: "all" },
    );
    const service = scene.wrap(mirror, route, async () => responseOf());
    for (let i = 0; i < 1000; i++) {
      await service(exchangeOf());
      if (i % 100 === 0) await settle();
    }
    expect([none.got.length, all.got.length]).toEqual([0, 1000]);
    expect(Math.abs(half.got.length - 500)).toBeLessThan(60);
  });

  it("does not wait for a mirror that hangs, bounds how many hang, and ends them in time", async () => {
    const scene = new FilterScene().upstream("v2", hanging);
    const service = scene.wrap(mirror, mirroring({}), async () => responseOf());
    for (let i = 0; i < 300; i++) expect((await service(exchangeOf())).status).toBe(200);
    expect(scene.dropped.length).toBe(300 - 256);
    await scene.clock.advance(15_000);
    expect(scene.clock.pendingTimers).toBe(0);
    await service(exchangeOf());
    expect(scene.dropped.length).toBe(300 - 256);
  });

  it("keeps no place for copies of requests whose primary failed at once", async () => {
    const scene = new FilterScene().upstream("v2", async () => responseOf());
    const service = scene.wrap(mirror, mirroring({}), () => {
      throw meshError("internal");
    });
    for (let i = 0; i < 300; i++) {
      expect(() => service(exchangeOf())).toThrow("internal");
      await settle();
    }
    expect(scene.dropped).toEqual([]);
  });

  it("lets the primary upload go on when the mirror reads nothing of it", async () => {
    const scene = new FilterScene().upstream("v2", hanging);
    const body = new Body(undefined);
    const exchange = exchangeOf({ method: "POST", body });
    let received = 0;
    const service = scene.wrap(mirror, mirroring({}), (given) => {
      given.body.pipe({
        data: (chunk) => {
          received += chunk.length;
          return true;
        },
        end: () => {},
        fail: () => {},
      });
      return Promise.resolve(responseOf());
    });
    await service(exchange);
    const chunk = Buffer.alloc(64 * 1024);
    for (let i = 0; i < 100; i++) expect(body.push(chunk)).toBe(true);
    expect(received).toBe(100 * chunk.length);
    expect(scene.dropped).toEqual(["v2"]);
  });

  it("reads no more than a megabyte of the mirror's answer", async () => {
    const endless = new Body(undefined);
    let cancelled = false;
    endless.onCancel = () => {
      cancelled = true;
    };
    const scene = new FilterScene().upstream("v2", async () => ({ ...responseOf(), body: endless }));
    await scene.wrap(mirror, mirroring({}), async () => responseOf())(exchangeOf());
    await settle();
    for (let i = 0; i < 17 && !cancelled; i++) endless.push(Buffer.alloc(64 * 1024));
    expect(cancelled).toBe(true);
    await settle();
    expect(scene.clock.pendingTimers).toBe(0);
  });

  it("keeps the mirror's failure to itself", async () => {
    const scene = new FilterScene().upstream("v2", () => Promise.reject(meshError("connect_refused")));
    const exchange = exchangeOf({ method: "POST", body: Body.of(Buffer.from("hello")) });
    const answer = await scene.wrap(mirror, mirroring({}), async (given) =>
      responseOf(200, await textOf(given.body)),
    )(exchange);
    expect(await textOf(answer.body)).toBe("hello");
    expect([exchange.flags, scene.clock.pendingTimers]).toEqual(["", 0]);
  });

  it("does not mirror an upgrade", async () => {
    const copies = recorder();
    const scene = new FilterScene().upstream("v2", copies.service);
    const body = new Body(undefined);
    const exchange = exchangeOf({ upgrade: "websocket", body });
    await scene.wrap(mirror, mirroring({}), async () => responseOf(101))(exchange);
    expect(copies.got).toEqual([]);
    expect(exchange.body).toBe(body);
  });
});
