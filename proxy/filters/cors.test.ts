import { describe, expect, it } from "vitest";
import type { CorsPolicy } from "../../common/model/route.ts";
import { plainRoute } from "../../test/support/routes.ts";
import { describeFilter, exchangeOf, FilterScene, responseOf } from "./contract.ts";
import { cors } from "./cors.ts";

const policy: CorsPolicy = {
  allowOrigins: [
    { kind: "exact", value: "https://shop.example" },
    { kind: "regex", value: "https://.*\\.shop\\.example" },
  ],
  allowMethods: ["GET", "PUT"],
  allowHeaders: ["x-a", "x-b"],
  exposeHeaders: ["x-c"],
  maxAgeSeconds: 600,
  allowCredentials: true,
  forwardUnmatchedPreflights: true,
};

function corsRoute(changes: Partial<CorsPolicy> = {}) {
  return plainRoute("it", {}, { cors: { ...policy, ...changes } });
}

describeFilter(cors, corsRoute());

async function ask(
  origin: string | undefined,
  init: { method?: string; preflight?: boolean; fields?: string[] },
  changes = {},
) {
  const scene = new FilterScene();
  const headers = origin === undefined ? [] : ["Origin", origin];
  if (init.preflight) headers.push("Access-Control-Request-Method", "PUT");
  let isForwarded = false;
  const answer = await scene.wrap(cors, corsRoute(changes), async () => {
    isForwarded = true;
    return responseOf(200, "", init.fields ?? []);
  })(exchangeOf({ method: init.method ?? "GET", headers }));
  return { isForwarded, status: answer.status, fields: Object.fromEntries(pairs(answer.headers.raw)) };
}

function pairs(raw: readonly string[]): [string, string][] {
  return raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1]!] as [string, string]] : []));
}

const preflight = { method: "OPTIONS", preflight: true };

describe("cors", () => {
  it("is off without a policy", () => {
    expect(cors.build(plainRoute("a"), new FilterScene().context)).toBeUndefined();
  });

  it.each(["https://shop.example", "https://a.shop.example"])(
    "answers the preflight of %s itself",
    async (origin) => {
      expect(await ask(origin, preflight)).toEqual({
        isForwarded: false,
        status: 200,
        fields: {
          "access-control-allow-origin": origin,
          "access-control-allow-credentials": "true",
          "access-control-allow-methods": "GET,PUT",
          "access-control-allow-headers": "x-a,x-b",
          "access-control-max-age": "600",
          vary: "Origin",
          "content-length": "0",
        },
      });
    },
  );

  it("forwards the preflight of another origin, or answers it without leave", async () => {
    const forwarded = await ask("https://evil.example", preflight);
    expect(forwarded).toEqual({ isForwarded: true, status: 200, fields: { vary: "Origin" } });
    const ignored = await ask("https://evil.example", preflight, { forwardUnmatchedPreflights: false });
    expect(ignored).toEqual({
      isForwarded: false,
      status: 200,
      fields: { vary: "Origin", "content-length": "0" },
    });
  });

  it("marks the response for an allowed origin, in place of what the upstream said", async () => {
    const fields = ["Access-Control-Allow-Origin", "*", "vary", "Accept"];
    const answer = await ask("https://shop.example", { fields });
    expect(answer.isForwarded).toBe(true);
    expect(answer.fields).toEqual({
      "Access-Control-Allow-Origin": "https://shop.example",
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": "x-c",
      vary: "Origin",
    });
  });

  it.each(["https://evil.example", "https://shop.example.evil", "null", undefined])(
    "gives no leave to %s",
    async (origin) => {
      expect((await ask(origin, {})).fields).toEqual({ vary: "Origin" });
    },
  );

  it("allows everybody for exact *", async () => {
    const changes = { allowOrigins: [{ kind: "exact", value: "*" }] };
    expect((await ask("https://any.example", {}, changes)).fields["access-control-allow-origin"]).toBe(
      "https://any.example",
    );
  });

  it("takes OPTIONS without a requested method for an ordinary request", async () => {
    expect((await ask("https://shop.example", { method: "OPTIONS" })).isForwarded).toBe(true);
  });
});
