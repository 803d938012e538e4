import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { freePortBase } from "../support/mesh.ts";

it("weft up goes on starting a control plane that ends at once, and stops in order when asked to", async () => {
  const state = mkdtempSync(join(tmpdir(), "weft-mesh-"));
  const base = String(await freePortBase());
  const args = ["cli/main.ts", "up", "examples/hello/mesh.yaml", "--state", state, "--port-base", base];
  // A level that the control plane refuses: it ends before anything else runs, so nothing but the launcher is left.
  const env = { ...process.env, WEFT_LOG_LEVEL: "loud" };
  const launcher = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(launcher, "exit");
  let log = "";
  let hasAsked = false;
  for await (const text of launcher.stdout.setEncoding("utf8")) {
    log += text;
    if (hasAsked || !/starting it again in 200 ms/.test(log)) continue;
    // Once only: a second Ctrl-C means "at once", and one that meets the very end kills.
    hasAsked = true;
    launcher.kill("SIGINT");
  }
  expect(await ended, log).toEqual([0, null]);
  expect(log).toContain('"loud"');
  expect(log).toContain("all parts have stopped");
  rmSync(state, { recursive: true, force: true });
});
