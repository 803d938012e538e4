import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { request } from "undici";
import { afterAll, expect, it } from "vitest";
import { startMesh } from "../support/mesh.ts";

const folder = mkdtempSync(join(tmpdir(), "weft-package-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Manifest {
  readonly version: string;
  readonly bin: { readonly weft: string };
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
}

it("the installed package runs a mesh, with nothing but its files and its dependencies", async () => {
  const { version, bin, files, dependencies } = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
  const installed = join(folder, "node_modules", "weftmesh");
  mkdirSync(installed, { recursive: true });
  cpSync("package.json", join(installed, "package.json"));
  for (const name of files) {
    if (name === "dist") execFileSync(process.execPath, ["deploy/bundle.mjs", join(installed, "dist")]);
    else cpSync(name, join(installed, name), { recursive: true });
  }
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(folder, "node_modules", name)), { recursive: true });
    symlinkSync(resolve("node_modules", name), join(folder, "node_modules", name));
  }
  cpSync("examples/hello", join(folder, "hello"), { recursive: true });
  const main = join(installed, bin.weft);
  expect(execFileSync(process.execPath, [main, "--version"], { encoding: "utf8" }).trim()).toBe(version);
  const mesh = await startMesh(join(folder, "hello", "mesh.yaml"), { main });
  try {
    const answer = await request(`${mesh.gatewayUrl}/`, { headers: { "x-beta": "yes" } });
    expect(await answer.body.text(), mesh.log()).toContain("echo-v2");
    const explained = await mesh.weft(
      "explain",
      "GET",
      `${mesh.gatewayUrl}/`,
      "--gateway",
      "istio=ingressgateway",
    );
    expect(explained.stdout + explained.stderr).toContain("echo");
    const status = await mesh.weft("status");
    expect([status.code, status.stdout]).toEqual([0, expect.stringContaining("gateway")]);
  } finally {
    await mesh.stop();
  }
});
