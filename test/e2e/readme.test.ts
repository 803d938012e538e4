import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunningMesh } from "../support/mesh.ts";
import { startMesh } from "../support/mesh.ts";

/**
 * README shows only what works: its commands run here in order, against the mesh that its set-up command starts. The two
 * set-up commands themselves are what runs this test.
 */
let mesh: RunningMesh;
const setUp = ["npm ci && npm start", "npm ci && npm test"];
const blocks = [...readFileSync("README.md", "utf8").matchAll(/^```sh\n(.*?)^```/gms)].map(([, text]) =>
  text!.trim(),
);
const commands = blocks
  .filter((block) => !setUp.includes(block))
  .flatMap((block) => block.split("\n"))
  .filter((line) => line !== "" && !line.startsWith("#"));

beforeAll(async () => {
  mesh = await startMesh("examples/shop/mesh.yaml");
});
afterAll(() => mesh?.stop());

describe("README", () => {
  it("names the two set-up commands", () => {
    expect(blocks.filter((block) => setUp.includes(block))).toEqual(setUp);
    const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as {
      scripts: Record<string, string>;
    };
    expect(scripts["start"]).toContain("up examples/shop/mesh.yaml");
  });

  it.each(commands)("shows a command that works: %s", async (command) => {
    const moved = command.replaceAll("http://localhost:8080", mesh.gatewayUrl);
    const env = { ...process.env, WEFT_CONTROL_PLANE: new URL(mesh.info().controlPlane.http).host };
    const { stdout, stderr } = await promisify(execFile)("bash", ["-ec", `set -o pipefail; ${moved}`], {
      env,
    });
    expect(`${stdout}${stderr}`.trim()).not.toBe("");
  });

  it("ends at v1 and v2 as its text says", async () => {
    const userX = await promisify(execFile)("curl", [
      "-s",
      "-D",
      "-",
      "-o",
      "/dev/null",
      "-H",
      "end-user: X",
      `${mesh.gatewayUrl}/productms/products`,
    ]);
    expect(userX.stdout).toMatch(/x-served-by: product-v2/);
  });
});
