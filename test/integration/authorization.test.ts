import { createHmac, generateKeyPairSync } from "node:crypto";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import type { UrlObject } from "node:url";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import fc from "fast-check";
import type { CryptoKey } from "jose";
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from "jose";
import { request } from "undici";
import { beforeAll, describe, expect, it } from "vitest";
import { pathNormalizationModes } from "../../common/model/request-entry.ts";
import { checkMethod } from "../../common/xds/external-auth.ts";
import messages from "../../common/xds/generated/messages.js";
import type { MeshConfigInput } from "../../control-plane/resources/mesh-config/schema.ts";
import { compileMeshConfig } from "../../control-plane/snapshot/mesh-settings.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import { onlyPort, resourceYaml, serviceYaml, YamlMesh } from "../support/yaml-mesh.ts";

/** Who may call what, from YAML to what comes out of a socket. */

const { after: atEnd, echo } = sceneOfEachTest();

interface Ask {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string;
}

/** A sidecar before an echo service, with these policies. */
async function sidecarWith(texts: readonly string[], config: MeshConfigInput = {}) {
  const app = await echo("app");
  const mesh = new YamlMesh(compileMeshConfig(config));
  atEnd(() => mesh.stop());
  await mesh.apply(serviceYaml("svc", { v1: 1 }), ...texts);
  const proxy = await mesh.proxy({
    outbound: undefined,
    inbound: "127.0.0.1:1",
    app: `127.0.0.1:${app.port}`,
    labels: "app=svc",
    admin: "127.0.0.1:0",
  });
  return { app, mesh, proxy, ask: (asked: Ask = {}) => ask(proxy, asked) };
}

/** A gateway that sends everything for `svc` to an echo service. */
async function gatewayWith(
  texts: readonly string[],
  config: MeshConfigInput = {},
  rules = "[{ route: [{ destination: { host: svc } }] }]",
) {
  const app = await echo("app");
  const mesh = new YamlMesh(compileMeshConfig(config));
  atEnd(() => mesh.stop());
  await mesh.apply(
    serviceYaml("svc", { v1: app.port }),
    resourceYaml(
      "Gateway",
      "edge",
      "selector: { istio: edge }\nservers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }]",
    ),
    resourceYaml("VirtualService", "svc", `hosts: [svc.example]\ngateways: [edge]\nhttp: ${rules}`),
    ...texts,
  );
  const proxy = await mesh.proxy({ kind: "gateway", labels: "istio=edge", bind: ["80=127.0.0.1:1"] });
  return { app, mesh, proxy, ask: (asked: Ask = {}) => ask(proxy, asked) };
}

async function ask(proxy: ProxyApp, { path = "/", method = "GET", headers = {}, body }: Ask) {
  // As an object, because a URL would bring the path to its own one form.
  const target = { origin: `http://127.0.0.1:${onlyPort(proxy)}`, path } as UrlObject;
  const answer = await request(target, {
    method: method as "GET",
    headers: { host: "svc.example", ...headers },
    ...(body === undefined ? {} : { body }),
  });
  const content = await text(answer.body);
  const seen = content.startsWith("{")
    ? (JSON.parse(content) as { url: string; headers: Record<string, string> })
    : undefined;
  return { status: answer.statusCode, headers: answer.headers, content, seen };
}

function security(kind: string, name: string, spec: string): string {
  return resourceYaml(kind, name, spec).replace("networking.istio.io/v1", "security.istio.io/v1");
}

describe("a policy", () => {
  it("refuses with 403, says why in the log's words only, and is counted", async () => {
    const { proxy, ask } = await sidecarWith([
      security(
        "AuthorizationPolicy",
        "readers",
        "rules: [{ to: [{ operation: { methods: [GET], paths: [/open*] } }] }]",
      ),
    ]);
    expect((await ask({ path: "/open/1" })).status).toBe(200);
    const refused = await ask({ path: "/closed" });
    expect([refused.status, refused.content]).toEqual([403, "RBAC: access denied"]);
    const metrics = await request(`http://127.0.0.1:${proxy.admin!.port}/stats/prometheus`);
    const counts = await metrics.body.text();
    expect(counts).toContain(
      'weft_authorization_total{policy="ns[default]-policy[readers]-rule[0]",result="allowed"} 1',
    );
    expect(counts).toContain('weft_authorization_total{policy="",result="denied"} 1');
  });

  it("changes what open connections may do, and costs no request while it changes", async () => {
    const { mesh, ask } = await sidecarWith([]);
    expect((await ask()).status).toBe(200);
    await mesh.apply(serviceYaml("svc", { v1: 1 }), security("AuthorizationPolicy", "closed", "{}"));
    expect((await ask()).status).toBe(403);
    await mesh.apply(serviceYaml("svc", { v1: 1 }));
    expect((await ask()).status).toBe(200);
  });
});

describe("one path", () => {
  it("case 34: is matched, authorized and forwarded alike", async () => {
    for (const normalization of pathNormalizationModes) {
      const name = normalization.toUpperCase().replaceAll("-", "_") as "BASE";
      const { app, ask } = await sidecarWith(
        [
          security(
            "AuthorizationPolicy",
            "no-admin",
            "action: DENY\nrules: [{ to: [{ operation: { paths: [/admin, /admin/*] } }] }]",
          ),
        ],
        { pathNormalization: { normalization: name } },
      );
      const part = fc.constantFrom(
        "/",
        "//",
        ".",
        "..",
        "%2e",
        "%2F",
        "%5c",
        "admin",
        "x",
        "\\",
        "%61dmin",
        ";a",
      );
      await fc.assert(
        fc.asyncProperty(fc.array(part, { maxLength: 8 }), async (parts) => {
          const path = `/${parts.join("")}`;
          const before = app.requests;
          const { status, seen } = await ask({ path });
          if (status === 403) expect(app.requests).toBe(before);
          else {
            expect(status).toBe(200);
            // Whatever reached the application is not what the policy keeps from it.
            expect(seen!.url).not.toMatch(/^\/admin(?:\/|$)/);
          }
        }),
        { numRuns: 60 },
      );
    }
  });

  it("case 33: is the one by which a gateway routes", async () => {
    const rules =
      "[{ match: [{ uri: { prefix: /admin } }], directResponse: { status: 418 } }, { route: [{ destination: { host: svc } }] }]";
    const { ask } = await gatewayWith([], {}, rules);
    for (const path of ["/admin", "//admin", "/x/../admin", "/%61dmin", "/./admin"])
      expect((await ask({ path })).status).toBe(418);
    expect((await ask({ path: "/admin;a=b" })).status).toBe(400);
    expect((await ask({ path: "/..;/admin" })).status).toBe(400);
    expect((await ask({ path: "/admin%00" })).status).toBe(400);
    const sent = await ask({ path: "/a%2fb?q=%2f" });
    expect([sent.status, sent.headers["location"]]).toEqual([307, "http://svc.example/a/b?q=%2f"]);
  });
});

describe("tokens", () => {
  let key: CryptoKey;
  let other: CryptoKey;
  let pem: string;
  let jwks: string;
  const kid = "one";

  beforeAll(async () => {
    const made = await generateKeyPair("RS256", { extractable: true });
    key = made.privateKey;
    pem = await exportSPKI(made.publicKey);
    other = (await generateKeyPair("RS256")).privateKey;
    jwks = JSON.stringify({ keys: [{ ...(await exportJWK(made.publicKey)), kid, alg: "RS256" }] });
  });

  function token(
    change: Record<string, unknown> = {},
    header: Record<string, string> = {},
    signer = key,
  ): Promise<string> {
    const { exp = "1h", ...claims } = { iss: "https://issuer", sub: "alice", aud: "shop", ...change };
    return new SignJWT(claims)
      .setProtectedHeader({ alg: "RS256", kid, ...header })
      .setExpirationTime(exp as string)
      .sign(signer);
  }
  const bearer = (value: string) => ({ headers: { authorization: `Bearer ${value}` } });
  const rule = (more = "") =>
    security(
      "RequestAuthentication",
      "sign-in",
      `jwtRules: [{ issuer: "https://issuer", jwks: '${jwks}'${more === "" ? "" : `, ${more}`} }]`,
    );
  const required = () =>
    security(
      "AuthorizationPolicy",
      "signed-in",
      'rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }]',
    );

  // covers RequestAuthentication jwtRules[], jwtRules[].issuer, jwtRules[].jwks
  it("are believed when they are sound; none at all is for a policy to refuse", async () => {
    const { mesh, ask } = await sidecarWith([rule()]);
    expect((await ask()).status).toBe(200);
    const sound = await ask(bearer(await token()));
    expect(sound.status).toBe(200);
    expect(sound.seen!.headers).not.toHaveProperty("authorization");
    await mesh.apply(serviceYaml("svc", { v1: 1 }), rule(), required());
    expect((await ask()).status).toBe(403);
    expect((await ask(bearer(await token()))).status).toBe(200);
  });

  // covers RequestAuthentication jwtRules[].audiences[]
  it("case 40: that are not sound get 401 and the reason", async () => {
    const { ask } = await sidecarWith([rule("audiences: [shop]")]);
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const unsigned = `${part({ alg: "none" })}.${part({ iss: "https://issuer", sub: "x", aud: "shop" })}.`;
    const confused = `${part({ alg: "HS256", kid })}.${part({ iss: "https://issuer", sub: "x", aud: "shop" })}`;
    const hmac = `${confused}.${createHmac("sha256", pem).update(confused).digest("base64url")}`;
    const sound = await token();
    const cases: readonly [string, string, RegExp][] = [
      ["alg none", unsigned, /not supported|form of/],
      ["the public key as a secret", hmac, /not supported/],
      ["another key", await token({}, {}, other), /verification fails/],
      ["an unknown key id", await token({}, { kid: "../../etc/passwd" }), /kid/],
      ["another issuer", await token({ iss: "https://other" }), /issuer is not configured/],
      ["another audience", await token({ aud: "bank" }), /Audiences/],
      ["expired", await token({ exp: Math.floor(Date.now() / 1000) - 3600 }), /expired/],
      ["not yet valid", await token({ nbf: Math.floor(Date.now() / 1000) + 3600 }), /not yet/],
      [
        "a changed payload",
        sound.replace(/\.[^.]+\./, `.${part({ iss: "https://issuer", sub: "root", aud: "shop" })}.`),
        /verification fails/,
      ],
      ["no token at all", "rubbish", /form of/],
    ];
    for (const [what, value, why] of cases) {
      const answer = await ask(bearer(value));
      expect([what, answer.status]).toEqual([what, 401]);
      expect([what, answer.content]).toEqual([what, expect.stringMatching(why)]);
      expect(answer.headers["www-authenticate"]).toMatch(/^Bearer realm=.*error="invalid_token"$/);
    }
    const two = await ask({ path: `/?access_token=${await token({ sub: "bob" })}`, ...bearer(sound) });
    expect(two.status).toBe(401);
    expect((await ask(bearer("x".repeat(20_000)))).status).toBe(401);
  });

  it("that name a claim twice get 401", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const own = JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid }] });
    const { ask } = await sidecarWith([rule().replace(jwks, own)]);
    const { sign } = await import("node:crypto");
    const made = (payload: string) => {
      const head = Buffer.from(JSON.stringify({ alg: "EdDSA", kid })).toString("base64url");
      const signed = `${head}.${Buffer.from(payload).toString("base64url")}`;
      return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString("base64url")}`;
    };
    expect((await ask(bearer(made('{"iss":"https://issuer","sub":"a","o":{"sub":"b"}}')))).status).toBe(200);
    const twice = await ask(bearer(made('{"iss":"https://issuer","sub":"a","sub":"root"}')));
    expect([twice.status, twice.content]).toEqual([401, expect.stringMatching(/twice/)]);
  });

  // covers RequestAuthentication jwtRules[].fromHeaders[], jwtRules[].fromHeaders[].name, jwtRules[].fromHeaders[].prefix
  // covers RequestAuthentication jwtRules[].fromParams[], jwtRules[].fromCookies[], jwtRules[].forwardOriginalToken
  it("are found where the rule says, and go no further unless it says so", async () => {
    const value = await token();
    const places =
      'fromHeaders: [{ name: X-Token, prefix: "t:" }], fromParams: [tok], fromCookies: [session]';
    const asked: readonly Ask[] = [
      { headers: { "x-token": `t:${value}` } },
      { path: `/?a=1&tok=${value}&b=2` },
      { headers: { cookie: `a=1; session=${value}; b=2` } },
    ];
    const kept = await sidecarWith([rule(`${places}, forwardOriginalToken: true`), required()]);
    const cut = await sidecarWith([rule(places), required()]);
    for (const one of asked) {
      const [whole, rest] = [await kept.ask(one), await cut.ask(one)];
      expect([whole.status, rest.status]).toEqual([200, 200]);
      expect(whole.content).toContain(value);
      expect(rest.content).not.toContain(value);
    }
    expect((await cut.ask(asked[1]!)).seen!.url).toBe("/?a=1&b=2");
    expect((await cut.ask(asked[2]!)).seen!.headers["cookie"]).toBe("a=1; b=2");
    expect((await cut.ask(bearer(value))).status).toBe(403);
  });

  // covers RequestAuthentication jwtRules[].outputPayloadToHeader, jwtRules[].spaceDelimitedClaims[]
  // covers RequestAuthentication jwtRules[].outputClaimToHeaders[], jwtRules[].outputClaimToHeaders[].header, jwtRules[].outputClaimToHeaders[].claim
  it("tell the application what they say, and nobody else may", async () => {
    const outputs =
      "outputPayloadToHeader: x-payload, outputClaimToHeaders: [{ header: x-user, claim: sub }, { header: x-team, claim: org.team }], spaceDelimitedClaims: [roles]";
    const { ask } = await sidecarWith([
      rule(outputs),
      security(
        "AuthorizationPolicy",
        "admins",
        'rules: [{ when: [{ key: "request.auth.claims[roles]", values: [admin] }] }]',
      ),
    ]);
    const { seen } = await ask(bearer(await token({ org: { team: 7 }, roles: "dev admin" })));
    expect([seen!.headers["x-user"], seen!.headers["x-team"]]).toEqual(["alice", "7"]);
    expect(JSON.parse(Buffer.from(seen!.headers["x-payload"]!, "base64url").toString())).toMatchObject({
      sub: "alice",
    });
    const open = await sidecarWith([rule(outputs)]);
    expect((await open.ask({ headers: { "x-user": "root" } })).seen!.headers).not.toHaveProperty("x-user");
  });

  // covers RequestAuthentication jwtRules[].jwksUri, jwtRules[].timeout
  it("case 41: are verified with keys that are fetched, and fetched anew when one is not known", async () => {
    const second = await generateKeyPair("RS256", { extractable: true });
    const next = { ...(await exportJWK(second.publicKey)), kid: "two" };
    let document = jwks;
    const issuer = await echo("issuer", (_request, response) => response.end(document));
    const remote = `jwksUri: "http://127.0.0.1:${issuer.port}/keys", timeout: 2s`;
    const byUri = rule().replace(/jwks: '[^']*'/, remote);
    const { ask } = await sidecarWith([byUri], { jwksNetworks: ["127.0.0.0/8"] });
    expect((await ask(bearer(await token()))).status).toBe(200);
    expect((await ask(bearer(await token({ sub: "bob" })))).status).toBe(200);
    expect(issuer.requests).toBe(1);
    // Made-up key ids make nobody ask the issuer more often than now and then.
    for (let i = 0; i < 5; i++)
      expect((await ask(bearer(await token({}, { kid: `x${i}` })))).status).toBe(401);
    expect(issuer.requests).toBe(1);
    document = JSON.stringify({ keys: [next] });
    const refused = await sidecarWith([byUri]);
    expect((await refused.ask(bearer(await token()))).content).toMatch(/fetch is failed/);
    expect((await refused.ask()).status).toBe(200);
    expect(issuer.requests).toBe(1);
  });

  // covers RequestAuthentication selector.matchLabels{}
  // covers VirtualService http[].match[].headers{}
  it("lead requests at a gateway by their claims", async () => {
    const rules = `
  - match: [{ headers: { "@request.auth.claims.groups": { exact: beta } } }]
    directResponse: { status: 299 }
  - match: [{ headers: { "@request.auth.claims[org][id]": { prefix: "7" } }, withoutHeaders: { "@request.auth.claims.banned": {} } }]
    directResponse: { status: 298 }
  - route: [{ destination: { host: svc } }]`;
    const selected = rule().replace("spec:\n", "spec:\n  selector: { matchLabels: { istio: edge } }\n");
    const { ask } = await gatewayWith([selected], {}, rules);
    const of = async (claims: Record<string, unknown>) => (await ask(bearer(await token(claims)))).status;
    expect(await of({ groups: ["alpha", "beta"] })).toBe(299);
    expect(await of({ org: { id: 77 } })).toBe(298);
    expect(await of({ org: { id: 77 }, banned: true })).toBe(200);
    expect((await ask()).status).toBe(200);
  });
});

describe("somebody who is asked", () => {
  const custom = security(
    "AuthorizationPolicy",
    "ask",
    "action: CUSTOM\nprovider: { name: judge }\nrules: [{ to: [{ operation: { paths: [/asked*] } }] }]",
  );

  function judgedBy(
    port: number,
    more: object = {},
    kind = "envoyExtAuthzHttp",
  ): [readonly string[], MeshConfigInput] {
    const service = serviceYaml("judge", { v1: port });
    const provider = {
      name: "judge",
      [kind]: { service: "default/judge", port: 80, timeout: "2s", ...more },
    };
    return [[custom, service], { extensionProviders: [provider] } as MeshConfigInput];
  }

  // covers AuthorizationPolicy provider.name
  it("by HTTP sees what may be shown, and its answer counts", async () => {
    const judge = await echo("judge", (asked, response) => {
      const isFriend = asked.headers["x-friend"] === "yes";
      if (isFriend) response.setHeader("x-judged", "by-me").setHeader("set-cookie", "seen=1");
      else response.setHeader("x-reason", "no friend").setHeader("x-secret", "s");
      response.writeHead(isFriend ? 200 : 402).end(isFriend ? "" : "go away");
    });
    const { ask, app } = await sidecarWith(
      ...judgedBy(judge.port, {
        pathPrefix: "/check",
        includeRequestHeadersInCheck: ["x-friend"],
        includeAdditionalHeadersInCheck: { "x-from": "mesh" },
        headersToUpstreamOnAllow: ["x-judged"],
        headersToDownstreamOnDeny: ["x-reason"],
        headersToDownstreamOnAllow: ["set-cookie"],
      }),
    );
    const allowed = await ask({
      path: "/asked?x=1",
      headers: { "x-friend": "yes", "x-other": "1", "x-judged": "forged" },
    });
    expect(allowed.status).toBe(200);
    expect(allowed.seen!.headers["x-judged"]).toBe("by-me");
    expect(allowed.headers["set-cookie"]).toBe("seen=1");
    expect(judge.last!.url).toBe("/check/asked?x=1");
    expect(judge.last!.headers).toMatchObject({ host: "svc.example", "x-friend": "yes", "x-from": "mesh" });
    expect(judge.last!.headers).not.toHaveProperty("x-other");
    const before = app.requests;
    const refused = await ask({ path: "/asked" });
    expect([refused.status, refused.content, refused.headers["x-reason"]]).toEqual([
      402,
      "go away",
      "no friend",
    ]);
    expect(refused.headers).not.toHaveProperty("x-secret");
    expect(app.requests).toBe(before);
    const asked = judge.requests;
    expect((await ask({ path: "/free" })).status).toBe(200);
    expect(judge.requests).toBe(asked);
  });

  it("is shown the body as far as it may be, and the application gets all of it", async () => {
    let shown = "";
    const judge = await echo("judge", (asked, response) => {
      void text(asked).then((body) => {
        shown = `${body}${asked.headers["x-envoy-auth-partial-body"] ?? ""}`;
        response.end();
      });
    });
    const app = await echo(
      "bodies",
      (asked, response) => void text(asked).then((body) => response.end(body)),
    );
    for (const [allowPartialMessage, size, expected] of [
      [true, 40, `${"x".repeat(10)}true`],
      [true, 5, "xxxxx"],
      [false, 5, "xxxxx"],
    ] as const) {
      const [texts, config] = judgedBy(judge.port, {
        includeRequestBodyInCheck: { maxRequestBytes: 10, allowPartialMessage },
      });
      const mesh = new YamlMesh(compileMeshConfig(config));
      atEnd(() => mesh.stop());
      await mesh.apply(serviceYaml("svc", { v1: 1 }), ...texts);
      const proxy = await mesh.proxy({
        outbound: undefined,
        inbound: "127.0.0.1:1",
        app: `127.0.0.1:${app.port}`,
        labels: "app=svc",
      });
      const answer = await ask(proxy, { path: "/asked", method: "POST", body: "x".repeat(size) });
      expect([answer.status, answer.content.length, shown]).toEqual([200, size, expected]);
    }
    const [texts, config] = judgedBy(judge.port, { includeRequestBodyInCheck: { maxRequestBytes: 10 } });
    const strict = await sidecarWith(texts, config);
    expect((await strict.ask({ path: "/asked", method: "POST", body: "x".repeat(40) })).status).toBe(413);
  });

  it("that does not answer has not agreed, unless the provider fails open", async () => {
    const broken = await echo("broken", (_asked, response) => response.writeHead(500).end());
    const closed = await sidecarWith(...judgedBy(broken.port));
    expect((await closed.ask({ path: "/asked" })).status).toBe(403);
    const teapot = await sidecarWith(...judgedBy(broken.port, { statusOnError: "503" }));
    expect((await teapot.ask({ path: "/asked" })).status).toBe(503);
    const open = await sidecarWith(...judgedBy(broken.port, { failOpen: true }));
    expect((await open.ask({ path: "/asked" })).status).toBe(200);
    const unknown = await sidecarWith([custom]);
    expect((await unknown.ask({ path: "/free" })).status).toBe(403);
  });

  it("case 61: is not waited for when the client has gone, and nothing is sent on", async () => {
    let state = "not asked";
    const judge = await echo("judge", (_asked, response) => {
      state = "asked";
      response.on("close", () => {
        state = "given up";
      });
    });
    const { app, proxy, ask: askAgain } = await sidecarWith(...judgedBy(judge.port));
    const client = connect(onlyPort(proxy), "127.0.0.1");
    client.write("GET /asked HTTP/1.1\r\nhost: svc.example\r\n\r\n");
    await expect.poll(() => state).toBe("asked");
    client.resetAndDestroy();
    await expect.poll(() => state).toBe("given up");
    expect((await askAgain({ path: "/free" })).status).toBe(200);
    expect(app.requests).toBe(1);
  });

  it("by gRPC decides and changes headers", async () => {
    const { CheckRequest, CheckResponse } = messages.envoy.service.auth.v3;
    const server = new Server();
    let asked: messages.envoy.service.auth.v3.CheckRequest | undefined;
    server.register(
      checkMethod,
      (
        call: { request: messages.envoy.service.auth.v3.CheckRequest },
        answer: (error: null, value: object) => void,
      ) => {
        asked = call.request;
        const isFriend = asked.attributes?.request?.http?.headers?.["x-friend"] === "yes";
        answer(
          null,
          isFriend
            ? {
                status: { code: 0 },
                okResponse: {
                  headers: [{ header: { key: "x-judged", value: "grpc" } }],
                  headersToRemove: ["x-friend"],
                },
              }
            : { status: { code: 7 }, deniedResponse: { status: { code: 401 }, body: "who?" } },
        );
      },
      (value: object) => Buffer.from(CheckResponse.encode(value).finish()),
      (bytes: Buffer) => CheckRequest.decode(bytes),
      "unary",
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    atEnd(() => server.forceShutdown());
    const { ask } = await sidecarWith(...judgedBy(port, {}, "envoyExtAuthzGrpc"));
    const allowed = await ask({ path: "/asked", headers: { "x-friend": "yes" } });
    expect([allowed.status, allowed.seen!.headers["x-judged"]]).toEqual([200, "grpc"]);
    expect(allowed.seen!.headers).not.toHaveProperty("x-friend");
    expect(asked?.attributes?.request?.http).toMatchObject({
      path: "/asked",
      method: "GET",
      host: "svc.example",
    });
    const refused = await ask({ path: "/asked" });
    expect([refused.status, refused.content]).toEqual([401, "who?"]);
  });
});

describe("a connection whose bytes nobody reads", () => {
  /** A gateway that passes connections on to a server that greets; what a client hears. */
  async function heardWith(...texts: readonly string[]): Promise<string> {
    const server = createServer((socket) => socket.on("error", () => {}).end("hello"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    atEnd(() => server.close());
    const mesh = new YamlMesh(compileMeshConfig({}));
    atEnd(() => mesh.stop());
    const db = serviceYaml("db", { v1: (server.address() as AddressInfo).port }).replace(
      "name: http }",
      "name: http, protocol: TCP }",
    );
    await mesh.apply(
      db,
      resourceYaml(
        "Gateway",
        "edge",
        "selector: { istio: edge }\nservers: [{ port: { number: 80, name: tcp, protocol: TCP }, hosts: ['*'] }]",
      ),
      resourceYaml(
        "VirtualService",
        "db",
        "hosts: ['*']\ngateways: [edge]\ntcp: [{ route: [{ destination: { host: db } }] }]",
      ),
      ...texts,
    );
    const proxy = await mesh.proxy({ kind: "gateway", labels: "istio=edge", bind: ["80=127.0.0.1:1"] });
    const client = connect(onlyPort(proxy), "127.0.0.1").on("error", () => {});
    atEnd(() => client.destroy());
    return text(client).catch(() => "");
  }

  it("is let in and kept out by who opens it, before a byte is passed on", async () => {
    const by = (action: string, rule: string) =>
      security("AuthorizationPolicy", "who", `action: ${action}\nrules: [${rule}]`);
    expect(await heardWith()).toBe("hello");
    expect(await heardWith(by("DENY", "{ from: [{ source: { ipBlocks: [127.0.0.0/8] } }] }"))).toBe("");
    expect(await heardWith(by("ALLOW", "{ from: [{ source: { ipBlocks: [127.0.0.0/8] } }] }"))).toBe("hello");
    expect(await heardWith(by("ALLOW", "{ from: [{ source: { ipBlocks: [10.0.0.0/8] } }] }"))).toBe("");
    // What asks about a request can't be answered here: nobody is let in by it, and everybody kept out.
    expect(await heardWith(by("ALLOW", "{ to: [{ operation: { methods: [GET] } }] }"))).toBe("");
    expect(await heardWith(by("DENY", "{ to: [{ operation: { methods: [GET] } }] }"))).toBe("");
  });
});

describe("an edge", () => {
  it("case 44: takes away what strangers say of themselves", async () => {
    const { ask } = await gatewayWith([]);
    const { seen } = await ask({
      headers: {
        "x-forwarded-for": "1.2.3.4",
        "x-forwarded-client-cert": "By=x",
        "x-envoy-retry-on": "5xx",
        "x-weft-peer": "a;b;c;d;e",
      },
    });
    expect(seen!.headers["x-forwarded-for"]).toBe("127.0.0.1");
    expect(seen!.headers).not.toHaveProperty("x-forwarded-client-cert");
    expect(seen!.headers).not.toHaveProperty("x-envoy-retry-on");
    expect((await ask({ headers: { x_user: "root" } })).status).toBe(400);
    const many = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`x-h${i}`, "v"]));
    expect((await ask({ headers: many })).status).toBe(431);
  });

  it("believes the proxies before it that are ours, and policies go by the address they saw", async () => {
    const only = security(
      "AuthorizationPolicy",
      "office",
      "rules: [{ from: [{ source: { remoteIpBlocks: [203.0.113.0/24] } }] }]",
    );
    const { ask } = await gatewayWith([only], {
      defaultConfig: { gatewayTopology: { numTrustedProxies: 1 } },
    });
    const said = (addresses: string) => ask({ headers: { "x-forwarded-for": addresses } });
    expect((await said("198.51.100.7, 203.0.113.9")).status).toBe(200);
    expect((await said("203.0.113.9, 198.51.100.7")).status).toBe(403);
    expect((await ask()).status).toBe(403);
    expect((await said("203.0.113.9")).seen!.headers["x-forwarded-for"]).toBe("203.0.113.9,127.0.0.1");
  });

  it("drops or lets through names with underscores when it is told so, and takes so many connections", async () => {
    const drop = await gatewayWith([], {
      edge: { headersWithUnderscoresAction: "DROP_HEADER", listenerConnectionLimit: 1 },
    });
    const held = connect(onlyPort(drop.proxy), "127.0.0.1");
    atEnd(() => held.destroy());
    held.write("GET / HTTP/1.1\r\nhost: svc.example\r\nx_user: root\r\nx-other: 1\r\n\r\n");
    const first = await new Promise<string>((resolve) =>
      held.once("data", (chunk: Buffer) => resolve(chunk.toString())),
    );
    expect(first).toContain("x-other");
    expect(first).not.toContain("x_user");
    await expect(drop.ask()).rejects.toThrow();
  });
});
