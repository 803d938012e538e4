import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { request } from "undici";
import { afterAll, describe, expect, it } from "vitest";
import { freePortBase, isAlive, pidsOf, runWeft, startMesh } from "../support/mesh.ts";

const folder = mkdtempSync(join(tmpdir(), "weft-local-mesh-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function get(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; json: Record<string, unknown> }> {
  const { statusCode, body } = await request(url, { headers });
  const text = await body.text();
  return {
    status: statusCode,
    json: text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : {},
  };
}

describe("weft up", () => {
  it("it runs the smallest mesh: gateway, two versions, notes with this run's addresses", async () => {
    const mesh = await startMesh("examples/hello/mesh.yaml");
    try {
      await mesh.logged(/Ctrl-C stops the mesh/);
      expect(mesh.log()).toContain(`curl -i ${mesh.gatewayUrl}/anything`);
      expect((await get(`${mesh.gatewayUrl}/a?b`)).json).toMatchObject({ servedBy: "echo-v1", path: "/a?b" });
      expect((await get(mesh.gatewayUrl, { "x-beta": "yes" })).json.servedBy).toBe("echo-v2");

      const [sidecar] = mesh.info().sidecars;
      const byHost = await get(`${sidecar!.outbound}/x`, { host: "echo:8000" });
      expect([byHost.status, byHost.json.path]).toEqual([200, "/x"]);

      const again = ["up", "examples/hello/mesh.yaml", "--port-base", String(mesh.info().portBase)];
      const second = await runWeft([...again, "--state", dirname(mesh.folder)]);
      expect(second.stderr).toContain(`mesh hello runs already: weft up has pid ${mesh.launcherPid}`);
      expect(second.stderr).toMatch(/port \d+ \(the control plane's xDS port\) is taken by pid \d+/);
      expect(second.code).toBe(1);
    } finally {
      await mesh.stop();
    }
  });

  it("it brings a killed part back, reports a crashed command, and is gone within seconds of SIGTERM", async () => {
    const mesh = await startMesh("examples/hello/mesh.yaml");
    try {
      const { sidecars, workloads, controlPlane } = mesh.info();
      process.kill(sidecars[0]!.pid!, "SIGKILL");
      process.kill(controlPlane.pid!, "SIGKILL");
      process.kill(workloads[1]!.pid!, "SIGKILL");
      await mesh.logged(/echo-v1-proxy ended \(signal SIGKILL\); starting it again/);
      await mesh.logged(/control-plane ended \(signal SIGKILL\); starting it again/);
      await mesh.logged(/echo-v2 ended \(signal SIGKILL\); it stays down/);
      await expect
        .poll(async () => (await get(mesh.gatewayUrl).catch(() => ({ status: 0 }))).status, {
          timeout: 20_000,
        })
        .toBe(200);
      expect((await get(mesh.gatewayUrl, { "x-beta": "yes" })).status).toBe(503);
    } finally {
      const begin = performance.now();
      await mesh.stop();
      expect(performance.now() - begin).toBeLessThan(15_000);
    }
  });

  it("it keeps what was applied for the next start, says so, and forgets it with --fresh", async () => {
    const state = join(folder, "state");
    const portBase = await freePortBase();
    const mirror = join(folder, "greeting.yaml");
    const all = readFileSync("examples/hello/config/echo.yaml", "utf8");
    writeFileSync(mirror, all.replace("subset: v1", "subset: v2"));
    const first = await startMesh("examples/hello/mesh.yaml", { state, portBase });
    const applied = await first.weft("apply", "--wait", "-f", mirror).finally(() => first.stop());
    expect(applied.stdout).toMatch(
      /VirtualService\/default\/echo configured\n(.*\n)*3 of 3 proxies run it after \d+ ms/,
    );

    const second = await startMesh("examples/hello/mesh.yaml", { state, portBase });
    try {
      await second.logged(/Applied in an earlier run and still in force: .*VirtualService\/default\/echo/);
      expect((await get(second.gatewayUrl)).json.servedBy).toBe("echo-v2");
    } finally {
      await second.stop();
    }

    const third = await startMesh("examples/hello/mesh.yaml", { state, portBase, args: ["--fresh"] });
    try {
      await third.logged(/Ctrl-C stops the mesh/);
      expect(third.log()).not.toContain("earlier run");
      expect((await get(third.gatewayUrl)).json.servedBy).toBe("echo-v1");
    } finally {
      await third.stop();
    }
  });

  it("it leaves nothing running when it is killed itself", async () => {
    const mesh = await startMesh("examples/hello/mesh.yaml");
    const pids = pidsOf(mesh.info());
    expect(pids).toHaveLength(6);
    process.kill(mesh.launcherPid, "SIGKILL");
    await expect.poll(() => pids.filter(isAlive), { timeout: 20_000 }).toEqual([]);
  });

  it("it stops when the channel to the program that started it closes", async () => {
    const args = ["cli/main.ts", "up", "examples/hello/mesh.yaml", "--state", join(folder, "channel")];
    const launcher = spawn(process.execPath, [...args, "--port-base", String(await freePortBase())], {
      stdio: ["ignore", "pipe", "inherit", "ipc"],
    });
    const ended = once(launcher, "exit");
    for await (const text of launcher.stdout!) if (String(text).includes("Ctrl-C stops")) break;
    launcher.disconnect();
    expect(await ended).toEqual([0, null]);
  });

  it("it gives a command its port, its sidecar and its version, and says where to start an app without one", async () => {
    const path = join(folder, "mesh.yaml");
    writeFileSync(
      path,
      `kind: LocalMesh
name: env
workloads:
  - name: client
    version: v7
    env: { HTTP_PROXY: "\${MESH_URL}", TEN: 10 }
    command: 'echo "env $VERSION $INSTANCE $HTTP_PROXY $TEN $PORT"; sleep 1000'
  - { name: by-hand, service: by-hand, port: 80 }
`,
    );
    const mesh = await startMesh(path);
    try {
      const { sidecars, workloads, portBase } = mesh.info();
      const line = `env v7 client ${sidecars[0]!.outbound} 10 ${portBase + 108}`;
      await mesh.logged(new RegExp(line));
      expect(mesh.log()).toContain(`by-hand: start the app yourself, at port ${portBase + 118}`);
      expect(workloads[1]).toEqual({
        name: "by-hand",
        service: "by-hand",
        app: `http://127.0.0.1:${portBase + 118}`,
      });
    } finally {
      await mesh.stop();
    }
  });
});
