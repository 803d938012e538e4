import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "undici";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ControlPlane } from "../../control-plane/app.ts";
import { startControlPlane } from "../../control-plane/app.ts";

/** Who may use the control plane's HTTP API, over real sockets. */
const token = "a-token-that-nobody-guesses-0123456789";
let folder: string;
let tokenFile: string;
let log: string[];
let plane: ControlPlane | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-access-"));
  tokenFile = join(folder, "token");
  writeFileSync(tokenFile, `${token}\n`);
  log = [];
});
afterEach(async () => {
  await plane?.stop();
  plane = undefined;
  rmSync(folder, { recursive: true });
});

async function start(host: string, httpTokenFile?: string): Promise<number> {
  const write = (message: string) => void log.push(message);
  plane = await startControlPlane(
    {
      config: [],
      xds: { host: "127.0.0.1", port: 0 },
      http: { host, port: 0 },
      ...(httpTokenFile !== undefined && { httpTokenFile }),
      state: join(folder, "state"),
      logLevel: "debug",
      logFormat: "text",
      quietMs: 1,
      maxDelayMs: 5,
    },
    { log: { debug: write, info: write, warn: write, error: write } },
  );
  return plane.http.port;
}

interface Asked {
  readonly path?: string;
  readonly method?: "GET" | "POST" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function ask(port: number, { path = "/resources", ...options }: Asked = {}) {
  const response = await request(`http://127.0.0.1:${port}${path}`, options);
  const headers: IncomingHttpHeaders = response.headers;
  return { status: response.statusCode, headers, text: await response.body.text() };
}

const bearer = (what: string) => ({ authorization: `Bearer ${what}` });
const weft = (...args: string[]) => run(["cli/main.ts", ...args]);

async function run(args: string[]) {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += chunk));
  const [code] = await once(child, "close");
  return { code: code as number, text };
}

describe("the HTTP API beyond loopback", () => {
  it("does not open without a token file, or with one that holds no token", async () => {
    const refused = await weft("control-plane", "--http", "0.0.0.0:0", "--state", join(folder, "state"));
    expect([refused.code, refused.text]).toEqual([
      2,
      expect.stringMatching(/not a loopback.*--http-token-file/),
    ]);
    await expect(start("0.0.0.0")).rejects.toThrow(/on this machine's own addresses only/);
    writeFileSync(tokenFile, "short\n");
    await expect(start("0.0.0.0", tokenFile)).rejects.toThrow(/holds no token: one of at least 16/);
    await expect(start("0.0.0.0", join(folder, "none"))).rejects.toThrow(/cannot be read: ENOENT.*openssl/);
  });

  it("answers nobody who does not show the token, on any path and before it reads a body", async () => {
    const port = await start("0.0.0.0", tokenFile);
    const paths = ["/resources", "/proxies", "/snapshot", "/problems", "/metrics", "/nowhere", "/ready/x"];
    for (const path of paths) expect([path, (await ask(port, { path })).status]).toEqual([path, 401]);
    for (const wrong of ["", "x", `${token}x`, token.slice(1), token.toUpperCase()])
      expect((await ask(port, { headers: bearer(wrong) })).status).toBe(401);
    const basic = Buffer.from(`weft:${token}`).toString("base64");
    expect((await ask(port, { headers: { authorization: `Basic ${basic}` } })).status).toBe(401);
    expect((await ask(port, { path: `/resources?token=${token}` })).status).toBe(401);
    const huge = await ask(port, { method: "POST", body: "x".repeat(17 * 1024 * 1024) }).catch(
      () => undefined,
    );
    expect([401, undefined]).toContain(huge?.status);
    const told = await ask(port);
    expect(told.headers["www-authenticate"]).toBe('Bearer realm="weft"');
    expect(JSON.parse(told.text).problems[0]).toMatchObject({
      why: "this API wants a token, and the request has none",
      hint: expect.stringContaining("--token-file"),
    });
    expect(log.join("\n")).toMatch(/refused a request to the HTTP API from 127\.0\.0\.1: the token is not/);
    expect(log.join("\n")).not.toContain(token.slice(1, 20));
  });

  it("answers who shows it, probes without it, and no page of another site", async () => {
    const port = await start("0.0.0.0", tokenFile);
    const named = { ...bearer(token), host: "weft.internal:15014" };
    expect((await ask(port, { headers: named })).status).toBe(200);
    expect((await ask(port, { headers: { ...named, origin: "http://weft.internal:15014" } })).status).toBe(
      200,
    );
    expect((await ask(port, { headers: { ...named, origin: "http://evil.example" } })).status).toBe(403);
    expect((await ask(port, { headers: { ...named, origin: "null" } })).status).toBe(403);
    expect((await ask(port, { path: "/ready" })).status).toBe(200);
    expect(
      (await ask(port, { method: "POST", headers: named, body: "x".repeat(17 * 1024 * 1024) })).status,
    ).toBe(413);
  });

  it("takes another token when the file has another, and none while it can't be read", async () => {
    const port = await start("127.0.0.1", tokenFile);
    expect((await ask(port)).status).toBe(401);
    const next = "another-token-that-is-longer-than-the-one-before";
    writeFileSync(tokenFile, next);
    expect((await ask(port, { headers: bearer(token) })).status).toBe(401);
    expect((await ask(port, { headers: bearer(next) })).status).toBe(200);
    rmSync(tokenFile);
    expect((await ask(port, { headers: bearer(next) })).status).toBe(503);
  });

  it("is asked by weft's commands with the token, which say what is wrong without it", async () => {
    const port = await start("0.0.0.0", tokenFile);
    const where = ["--control-plane", `127.0.0.1:${port}`];
    expect(await weft("get", ...where, "--token-file", tokenFile)).toEqual({
      code: 0,
      text: "no resources\n",
    });
    const without = await weft("get", ...where);
    expect([without.code, without.text]).toEqual([1, expect.stringMatching(/wants a token.*--token-file/s)]);
    const missing = await weft("status", ...where, "--token-file", join(folder, "none"));
    expect([missing.code, missing.text]).toEqual([
      2,
      expect.stringMatching(/--token-file: .*none cannot be read: ENOENT/),
    ]);
  });
});

describe("the HTTP API on loopback", () => {
  it("answers programs, and turns away what a page elsewhere could make a browser send", async () => {
    const port = await start("127.0.0.1");
    const names = ["127.0.0.1", "localhost", "[::1]", `localhost:${port}`];
    for (const host of names) expect((await ask(port, { headers: { host } })).status).toBe(200);
    const foreign = [
      "evil.example",
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "0.0.0.0",
      "169.254.1.1",
    ];
    for (const host of foreign) {
      const { status, text } = await ask(port, { headers: { host } });
      expect([host, status, text]).toEqual([
        host,
        403,
        expect.stringContaining("not a name of this machine"),
      ]);
    }
    for (const origin of ["http://evil.example", "null", "http://localhost.evil.example", "x"])
      for (const method of ["GET", "POST", "DELETE"] as const)
        expect((await ask(port, { method, headers: { origin } })).status).toBe(403);
    expect((await ask(port, { headers: { origin: "http://localhost:3000" } })).status).toBe(200);
    expect(log.join("\n")).toContain("is not a name of this machine");
  });
});
