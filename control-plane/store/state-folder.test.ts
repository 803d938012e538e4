import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
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
      moved: () => {},
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
    expect(await readdir(join(state.resourcesPath, "WorkloadEntry"))).toEqual([
      ".default.a.origin.json",
      "default.a.yaml",
    ]);
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

  it("knows where an author wrote what it holds, also after a restart, until someone edits the folder", async () => {
    const written = decodeText(`# mine\n${formatYaml(entry("a", "10.0.0.1").object)}`, "shop/a.yaml")
      .resources[0]!;
    await state.write([written]);
    const file = join(state.resourcesPath, "WorkloadEntry", "default.a.yaml");
    const read = async () =>
      decodeText(await readFile(file, "utf8"), "WorkloadEntry/default.a.yaml").resources;

    const again = createStateFolder({ path, refresh: async () => {}, moved: () => {} });
    await again.prepare();
    expect(again.asApplied(await read())[0]?.source).toMatchObject({ file: "shop/a.yaml", line: 2 });

    await writeFile(file, (await readFile(file, "utf8")).replace("10.0.0.1", "10.0.0.2"));
    expect(again.asApplied(await read())[0]?.source).toMatchObject({
      file: "WorkloadEntry/default.a.yaml",
      line: 1,
    });
  });

  it("changes nothing when one of several can't be written, and says why", async () => {
    // A file where the kind's folder should be: root may write everywhere, so permissions would not stop it.
    await writeFile(join(state.resourcesPath, "Gateway"), "");
    const edge = { ...entry("edge", "10.0.0.1"), kind: "Gateway" } as Resource;
    await expect(state.write([entry("a", "10.0.0.1"), edge])).rejects.toThrow(
      /^the state folder .* cannot be written: .*; nothing was changed$/,
    );
    expect(await readdir(join(state.resourcesPath, "WorkloadEntry"))).toEqual([]);
    await state.write([entry("a", "10.0.0.1")]);
  });

  it("clears away what a crash left half written", async () => {
    await state.write([entry("a", "10.0.0.1")]);
    const folder = join(state.resourcesPath, "WorkloadEntry");
    await writeFile(join(folder, ".77.0.draft"), "apiVers");
    await writeFile(join(folder, ".default.b.origin.json"), '{"object": {"ki');
    await createStateFolder({ path, refresh: async () => {}, moved: () => {} }).prepare();
    expect(await readdir(folder)).toEqual([
      ".default.a.origin.json",
      ".default.b.origin.json",
      "default.a.yaml",
    ]);
  });
});
