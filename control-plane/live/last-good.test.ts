import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decodeText } from "../resources/decode-text.ts";
import type { RememberedResource } from "./last-good.ts";
import { LastGoodFolder, mayBeHidden } from "./last-good.ts";

const { resources } = decodeText(
  `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: a }
spec: { hosts: [a.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: b }
spec: { hosts: [b.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }
`,
  "shop/mesh.yaml",
  { now: 7 },
);
const remembered: readonly RememberedResource[] = resources.map((resource) => ({
  resource,
  origin: "config",
}));

describe("the last good copy", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "weft-last-good-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("comes back as it was saved, and is missing at first", async () => {
    const state = join(folder, "not", "there", "yet");
    expect(await new LastGoodFolder(state).load()).toEqual({ resources: [] });
    await new LastGoodFolder(state).save(remembered);
    expect(await new LastGoodFolder(state).load()).toEqual({ resources: remembered });
    expect(await readdir(state)).toEqual(["last-good.json"]);
  });

  it("is the newest one after many saves at once", async () => {
    const copy = new LastGoodFolder(folder);
    await Promise.all([copy.save(remembered), copy.save([]), copy.save(remembered.slice(1))]);
    expect((await copy.load()).resources.map(({ resource }) => resource.name)).toEqual(["b"]);
  });

  it("does no harm when it is damaged, and says so", async () => {
    const file = join(folder, "last-good.json");
    const copy = new LastGoodFolder(folder);
    await copy.save(remembered);
    const text = await readFile(file, "utf8");
    for (const damaged of [text.slice(0, -20), "", "[]", '{"resources":1}', "null"]) {
      await writeFile(file, damaged);
      expect(await copy.load()).toEqual({ resources: [], problem: expect.stringContaining("is damaged") });
    }
    await writeFile(file, text.replace('"a.example.com"', '"a b"'));
    expect((await copy.load()).resources.map(({ resource }) => resource.name)).toEqual(["b"]);
  });
});

describe("a resource that its source does not tell of", () => {
  const [first] = remembered;
  const at = (file: string) => ({ path: "", why: "is bad", at: { file, line: 1 } });

  it("may be hidden by an error in its file, in a folder, or of an unknown place", () => {
    expect(mayBeHidden(first!, [at("shop/mesh.yaml")])).toBe(true);
    expect(mayBeHidden(first!, [at("/etc/weft/shop")])).toBe(true);
    expect(mayBeHidden(first!, [{ path: "", why: "is bad" }])).toBe(true);
  });

  it("is gone when nothing is wrong, or only elsewhere, or only worth a warning", () => {
    expect(mayBeHidden(first!, [])).toBe(false);
    expect(mayBeHidden(first!, [at("shop/other.yaml")])).toBe(false);
    expect(mayBeHidden(first!, [{ ...at("shop/mesh.yaml"), severity: "warning" }])).toBe(false);
  });
});
