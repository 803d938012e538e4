import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { request } from "undici";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startProxy } from "../../proxy/app.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import { startLoad } from "../support/load.ts";
import {
  feed,
  listener,
  proxySettings,
  route,
  routes,
  staticCluster,
  virtualHost,
} from "../support/proxy-resources.ts";

/** A proxy as a process, which has its config from the last good copy on disk: no control plane is anywhere. */

let state: string;
let app: EchoServer;
let processes: ChildProcess[];

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "weft-proxy-"));
  app = await startEcho("app", (_, response) => setTimeout(() => response.end("ok"), 5));
  processes = [];
});

afterEach(async () => {
  for (const child of processes)
    if (child.exitCode === null && child.kill("SIGKILL")) await once(child, "exit");
  await app.stop();
  await rm(state, { recursive: true, force: true });
});

describe("a proxy process", () => {
  it("serves from the last good copy without a control plane", async () => {
    const port = await saveConfig();
    const proxy = await start();
    const answer = await request(`http://127.0.0.1:${port}/`, { headers: { host: "svc" } });
    expect([answer.statusCode, await answer.body.text()]).toEqual([200, "ok"]);
    expect(proxy.log()).toContain("serving from the last good config");
  });

  it("reports a damaged copy and starts without it", async () => {
    await saveConfig();
    const file = join(state, "last-good.json");
    await writeFile(file, (await readFile(file, "utf8")).slice(0, -20));
    const proxy = await start({ ready: false });
    expect(proxy.log()).toContain("checksum does not match");
    const ready = await request(`http://127.0.0.1:${proxy.admin}/ready`);
    expect([ready.statusCode, await ready.body.text()]).toEqual([
      503,
      "not ready, open: first config, listeners\n",
    ]);
  });

  it("loses no request on SIGTERM and exits with 0", async () => {
    const port = await saveConfig();
    const proxy = await start();
    const load = startLoad({ url: `http://127.0.0.1:${port}/`, headers: { host: "svc" }, concurrency: 16 });
    await load.reached(200);
    proxy.child.kill("SIGTERM");
    const [code] = await once(proxy.child, "exit");
    const report = await load.stop();
    expect(code).toBe(0);
    expect([...report.statuses.keys()]).toEqual([200]);
    expect([...report.errors.keys()].filter((error) => error !== "ECONNREFUSED")).toEqual([]);
  });

  it("logs each request with what became of it when asked to", async () => {
    const port = await saveConfig();
    const proxy = await start({ args: ["--access-log", "json"] });
    const answer = await request(`http://127.0.0.1:${port}/path`, { headers: { host: "svc" } });
    await answer.body.dump();
    while (!proxy.output().includes("\n")) await once(proxy.child.stdout, "data");
    expect(JSON.parse(proxy.output())).toMatchObject({
      method: "GET",
      path: "/path",
      authority: "svc",
      response_code: 200,
      upstream_cluster: "c",
    });
  });

  it("drains and ends when the admin interface is asked to quit", async () => {
    await saveConfig();
    const proxy = await start();
    const exited = once(proxy.child, "exit");
    const answer = await request(`http://127.0.0.1:${proxy.admin}/quitquitquit`, { method: "POST" });
    expect(answer.statusCode).toBe(200);
    expect((await exited)[0]).toBe(0);
  });

  it("ends at once on a second signal, with 1", async () => {
    const port = await saveConfig();
    const hanging = await startEcho("hanging", () => {});
    const proxy = await start();
    await feedHanging();
    proxy.child.kill("SIGTERM");
    await proxy.logged("draining");
    proxy.child.kill("SIGTERM");
    expect((await once(proxy.child, "exit"))[0]).toBe(1);
    await hanging.stop();

    /** A request that is never answered holds the drain up. */
    async function feedHanging(): Promise<void> {
      app.server.removeAllListeners("request");
      const begun = once(app.server, "request");
      void request(`http://127.0.0.1:${port}/`, { headers: { host: "svc" } }).catch(() => {});
      await begun;
    }
  });

  it("logs what nobody caught and ends with 1, so that it is started anew", async () => {
    await saveConfig();
    const bomb = "data:text/javascript,process.on('SIGUSR2',()=>setImmediate(()=>{throw new Error('boom')}))";
    const proxy = await start({ node: ["--import", bomb] });
    proxy.child.kill("SIGUSR2");
    expect((await once(proxy.child, "exit"))[0]).toBe(1);
    expect(proxy.log()).toMatch(/"level":"fatal".*boom/);
  });

  it("refuses wrong use in one line each, with exit code 2", async () => {
    const child = spawn(process.execPath, [main, "sidecar", "--labels", "x", "--drain", "5"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    processes.push(child);
    let text = "";
    child.stderr!.on("data", (bytes) => {
      text += bytes;
    });
    const [code] = await once(child, "close");
    expect(code).toBe(2);
    expect(text.trim().split("\n")).toHaveLength(3);
    expect(text).toContain("--name: is missing");
  });
});

const main = fileURLToPath(new URL("../../proxy/main.ts", import.meta.url));

/** Has a proxy in this process write its last good copy; answers with the port that its listener will have. */
async function saveConfig(): Promise<number> {
  const free = await startEcho("free");
  await free.stop();
  const proxy = await startProxy(proxySettings({ name: "test", state }));
  await feed(proxy.sink, {
    clusters: [staticCluster("c", app.port)],
    routes: [routes("r")],
    hosts: { r: [virtualHost("svc", ["svc"], [route([["c", 1]])])] },
    listeners: [listener("out", "r", { port: free.port })],
  });
  await proxy.stop();
  return free.port;
}

async function start({
  ready = true,
  args: more = [] as readonly string[],
  node = [] as readonly string[],
} = {}) {
  const free = await startEcho("free");
  await free.stop();
  const args = [
    ...node,
    main,
    "sidecar",
    "--name",
    "test",
    "--state",
    state,
    "--admin",
    `127.0.0.1:${free.port}`,
    ...more,
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  processes.push(child);
  let log = "";
  child.stderr.on("data", (bytes) => {
    log += bytes;
  });
  let output = "";
  child.stdout.on("data", (bytes) => {
    output += bytes;
  });
  const logged = async (text: string) => {
    while (!log.includes(text)) await once(child.stderr, "data");
  };
  await logged(ready ? "serving from the last good config" : "was not read completely");
  return { child, admin: free.port, logged, log: () => log, output: () => output };
}
