import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decodeText } from "../resources/decode-text.ts";
import type { Resource } from "../resources/resource.ts";
import { formatYaml } from "../resources/yaml.ts";
import type { StateFolder } from "./state-folder.ts";
import { createStateFolder } from "./state-folder.ts";

function entry(name: string, address: string): Resource {
  const object = {
    apiVersion: "networking.istio.io/v1",
    kind: "WorkloadEntry",
    metadata: { name, labels: { app: "a" } },
    spec: { address },
    status: { conditions: [] },
  };
  return decodeText(formatYaml(object), "applied").resources[0]!;
}

describe("the state folder", () => {
  let path: string;
  let state: StateFolder;
  let refreshes: number;

  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), "weft-state-"));
    refreshes = 0;
    state = createStateFolder({
      path,
      refresh: async () => {
        refreshes++;
      },
    });
    await state.prepare();
  });
  afterEach(async () => {
    await rm(path, { recursive: true });
  });

  it("writes an object where its key says, readable as what was applied", async () => {
    const applied = entry("a.b", "10.0.0.1");
    await state.write([applied]);
    const text = await readFile(join(state.resourcesPath, "WorkloadEntry", "default.a.b.yaml"), "utf8");
    const [read] = decodeText(text, "state").resources;
    expect(read).toMatchObject({
      namespace: "default",
      name: "a.b",
      compiled: applied.compiled,
      labels: { app: "a" },
    });
    expect(text).not.toContain("status");
    expect(refreshes).toBe(1);
  });

  it("replaces an object whole and leaves no drafts", async () => {
    await Promise.all(Array.from({ length: 20 }, (_, index) => state.write([entry("a", `10.0.0.${index}`)])));
    expect(await readdir(join(state.resourcesPath, "WorkloadEntry"))).toEqual(["default.a.yaml"]);
    const text = await readFile(join(state.resourcesPath, "WorkloadEntry", "default.a.yaml"), "utf8");
    expect(decodeText(text, "state").problems).toEqual([]);
  });

  it("says which of the deleted objects it had", async () => {
    const resource = entry("a", "10.0.0.1");
    const missing = { kind: "Gateway", namespace: "default", name: "edge" } as const;
    await state.write([resource]);
    expect(await state.remove([missing, resource])).toEqual([resource]);
    expect(await state.remove([resource])).toEqual([]);
    expect(await readdir(join(state.resourcesPath, "WorkloadEntry"))).toEqual([]);
  });
});
