import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { textLimits } from "../resources/decode-text.ts";
import type { CompiledWorkloadEntry } from "../resources/workload-entry/compiled.ts";
import { SourceFollower } from "./contract.ts";
import type { FilesSource } from "./files.ts";
import { createFilesSource } from "./files.ts";

/** How programs really change files, on a real file system with real events: nothing may flap, and the end must be right. */
const times = { settleMs: 20, lossMs: 80, lookMs: 200 };

describe("a folder that programs write to", () => {
  let folder: string;
  let source: FilesSource;
  let follower: SourceFollower;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "weft-editors-"));
    source = createFilesSource({ name: "config", path: folder, clock: systemClock, ...times });
    follower = new SourceFollower();
  });
  afterEach(async () => {
    await source.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const entry = (name: string, address = "10.0.0.1") =>
    `apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: ${name} }\nspec: { address: ${address} }\n`;
  const write = (name: string, text: string) => writeFile(join(folder, name), text);
  const addressOf = (name: string) => {
    const compiled = follower.live.get(`WorkloadEntry/default/${name}`)?.compiled;
    return (compiled as CompiledWorkloadEntry | undefined)?.endpoint.address;
  };
  const deletes = () => follower.steps.flatMap((step) => step.deletes.map(({ name }) => name));

  it("takes a new file that is moved over the old one (most editors)", async () => {
    await write("a.yaml", entry("a"));
    await source.start(follower.sink);
    await write(".a.yaml.swp", entry("a", "10.0.0.2"));
    await rename(join(folder, ".a.yaml.swp"), join(folder, "a.yaml"));
    await follower.until(() => addressOf("a") === "10.0.0.2");
    expect(deletes()).toEqual([]);
  });

  it("takes a file that is moved away as a backup and written anew (vim with backupcopy=no)", async () => {
    await write("a.yaml", entry("a"));
    await source.start(follower.sink);
    await rename(join(folder, "a.yaml"), join(folder, "a.yaml~"));
    await write("a.yaml", entry("a", "10.0.0.2"));
    await rm(join(folder, "a.yaml~"));
    await follower.until(() => addressOf("a") === "10.0.0.2");
    expect(deletes()).toEqual([]);
  });

  it("takes a file that is emptied and written in place", async () => {
    await write("a.yaml", entry("a"));
    await source.start(follower.sink);
    await write("a.yaml", "");
    await write("a.yaml", entry("a", "10.0.0.2"));
    await follower.until(() => addressOf("a") === "10.0.0.2");
    expect(deletes()).toEqual([]);
  });

  it("takes a mounted ConfigMap, whose folder is swapped by one link", async () => {
    const publish = async (version: string, files: Readonly<Record<string, string>>) => {
      await mkdir(join(folder, version));
      for (const [name, text] of Object.entries(files)) await write(join(version, name), text);
      await symlink(version, join(folder, "..data_tmp"));
      await rename(join(folder, "..data_tmp"), join(folder, "..data"));
    };
    await publish("..one", { "a.yaml": entry("a"), "b.yaml": entry("b") });
    for (const name of ["a.yaml", "b.yaml"]) await symlink(`..data/${name}`, join(folder, name));
    await source.start(follower.sink);
    expect(follower.keys).toHaveLength(2);
    await publish("..two", { "a.yaml": entry("a", "10.0.0.2") });
    await unlink(join(folder, "b.yaml"));
    await rm(join(folder, "..one"), { recursive: true });
    await follower.until(() => addressOf("a") === "10.0.0.2" && addressOf("b") === undefined);
    expect(deletes()).toEqual(["b"]);
  });

  it("takes a file that becomes a folder, and back", async () => {
    await write("a.yaml", entry("a"));
    await source.start(follower.sink);
    await rm(join(folder, "a.yaml"));
    await mkdir(join(folder, "a.yaml"));
    await write("a.yaml/inner.yaml", entry("a", "10.0.0.2"));
    await follower.until(() => addressOf("a") === "10.0.0.2");
    await rm(join(folder, "a.yaml"), { recursive: true });
    await write("a.yaml", entry("a", "10.0.0.3"));
    await follower.until(() => addressOf("a") === "10.0.0.3");
    expect(deletes()).toEqual([]);
  });

  it("keeps what a file held that grew beyond the limit, and says so", async () => {
    await write("a.yaml", entry("a"));
    await source.start(follower.sink);
    await write("a.yaml", `${entry("a")}#${"x".repeat(textLimits.maxBytes)}`);
    await follower.until(() => follower.report.problems.some(({ why }) => why.includes("the limit is")));
    expect(follower.report.stale).toMatchObject([{ name: "a" }]);
    expect(addressOf("a")).toBe("10.0.0.1");
  });

  it("follows a checkout that changes, adds and removes many of 2,000 files at once", async () => {
    await mkdir(join(folder, "many"));
    const file = (index: number) => `many/${index}.yaml`;
    const all = Array.from({ length: 2000 }, (_, index) => index);
    await Promise.all(all.map((index) => write(file(index), entry(`e${index}`))));
    await source.start(follower.sink);
    expect(follower.live.size).toBe(2000);
    await Promise.all([
      ...all.slice(0, 500).map((index) => write(file(index), entry(`e${index}`, "10.0.0.2"))),
      ...all.slice(500, 700).map((index) => rm(join(folder, file(index)))),
      ...all.slice(700, 800).map((index) => write(`many/new-${index}.yaml`, entry(`n${index}`))),
    ]);
    await follower.until(
      () => follower.live.size === 1900 && addressOf("e499") === "10.0.0.2" && addressOf("e0") === "10.0.0.2",
    );
    expect(deletes()).toHaveLength(200);
    expect(follower.report.problems).toEqual([]);
  }, 60_000);
});
