import { describe, expect, it } from "vitest";
import { hashText, xxHash64 } from "../../common/base/xxhash64.ts";
import type { HashPolicy } from "../../common/model/route.ts";
import { describeFilter, exchangeOf, FilterScene, forwardRoute, responseOf } from "./contract.ts";
import { hashKey } from "./hash-key.ts";

const session: HashPolicy = { kind: "cookie", name: "session", path: "/shop", ttlMs: 3_600_000 };

describeFilter(hashKey, forwardRoute({ hashPolicies: [{ kind: "header", name: "x-user" }] }));

/** Sends a request through the filter; its key as text, and the cookies of the answer. */
async function send(policies: readonly HashPolicy[], init: Parameters<typeof exchangeOf>[0] = {}) {
  const exchange = exchangeOf(init);
  const scene = new FilterScene();
  const service = scene.wrap(hashKey, forwardRoute({ hashPolicies: policies }), async () => responseOf());
  const { headers } = await service(exchange);
  return { key: exchange.hashKey && hashText(exchange.hashKey), cookie: headers.joined("set-cookie") };
}

const hash = (text: string) => hashText(xxHash64(text));

describe("the hash key", () => {
  it("costs nothing on routes without a policy", () => {
    expect(hashKey.build(forwardRoute({}), new FilterScene().context)).toBeUndefined();
  });

  it("is absent for a request that has nothing of what is asked for", async () => {
    const policies: HashPolicy[] = [
      { kind: "header", name: "x-user" },
      { kind: "query-parameter", name: "user" },
      { kind: "cookie", name: "session" },
    ];
    expect(await send(policies, { path: "/?other=1" })).toEqual({ key: undefined, cookie: undefined });
  });

  it("is made of the header, whatever case its name has", async () => {
    const policies: HashPolicy[] = [{ kind: "header", name: "x-user" }];
    expect((await send(policies, { headers: ["X-User", "eve"] })).key).toBe(hash("eve"));
  });

  it("does not depend on the order of a header's values", async () => {
    const policies: HashPolicy[] = [{ kind: "header", name: "x-user" }];
    const one = await send(policies, { headers: ["x-user", "a", "x-user", "b"] });
    const other = await send(policies, { headers: ["x-user", "b", "x-user", "a"] });
    expect(one.key).toBe(other.key);
    expect(one.key).not.toBe(hash("a"));
  });

  it("can be the authority or the client's address", async () => {
    expect((await send([{ kind: "header", name: ":authority" }], { authority: "shop" })).key).toBe(
      hash("shop"),
    );
    expect((await send([{ kind: "source-ip" }])).key).toBe(hash("10.0.0.1"));
  });

  it("is not cancelled out by two equal parts", async () => {
    const part: HashPolicy = { kind: "header", name: "x-user" };
    const { key } = await send([part, part], { headers: ["x-user", "eve"] });
    expect(key).not.toBe("0000000000000000");
    expect(key).not.toBe(hash("eve"));
  });

  it("is the cookie's, quoted or not, among other cookies", async () => {
    const headers = ["cookie", "sessionx=1; session=s-1; y=2"];
    expect(await send([session], { headers })).toEqual({ key: hash("s-1"), cookie: undefined });
    expect((await send([session], { headers: ["Cookie", 'session="s-1"'] })).key).toBe(hash("s-1"));
  });

  it("is that of the cookie which the answer sets, for who has none", async () => {
    const { key, cookie } = await send([session]);
    const value = /^session=([0-9a-f]{16}); Max-Age=3600; Path=\/shop; HttpOnly$/.exec(cookie!)?.[1];
    expect(key).toBe(hash(value!));
    const again = await send([session], { headers: ["cookie", `session=${value}`] });
    expect(again).toEqual({ key, cookie: undefined });
  });

  it("sets a cookie with the attributes that are asked for", async () => {
    const attributes = [
      ["SameSite", "Lax"],
      ["Secure", ""],
    ] as const;
    const { cookie } = await send([{ kind: "cookie", name: "s", path: "/", ttlMs: 0, attributes }]);
    expect(cookie).toMatch(/^s=[0-9a-f]{16}; Path=\/; SameSite=Lax; Secure; HttpOnly$/);
  });

  it("sets a cookie for the browser's session when the time to live is zero", async () => {
    const { cookie } = await send([{ kind: "cookie", name: "s", ttlMs: 0 }]);
    expect(cookie).toMatch(/^s=[0-9a-f]{16}; HttpOnly$/);
  });
});
