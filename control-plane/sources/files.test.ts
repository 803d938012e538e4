import { chmod, mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { formatYaml } from "../resources/yaml.ts";
import { SourceFollower, sourceContract } from "./contract.ts";
import type { FilesSource } from "./files.ts";
import { createFilesSource } from "./files.ts";

function entry(name: string, spec: unknown = { address: "10.0.0.1" }): string {
  return formatYaml({
    apiVersion: "networking.istio.io/v1",
    kind: "WorkloadEntry",
    metadata: { name },
    spec,
  });
}

sourceContract("a folder of files", async () => {
  const parent = await mkdtemp(join(tmpdir(), "weft-files-"));
  const folder = join(parent, "config");
  await mkdir(folder);
  const times = { settleMs: 20, lossMs: 60, lookMs: 200 };
  return {
    source: createFilesSource({ name: "config", path: folder, clock: systemClock, ...times }),
    put: (name, spec) => writeFile(join(folder, `${name}.yaml`), entry(name, spec)),
    remove: (name) => rm(join(folder, `${name}.yaml`)),
    breakDown: () => rename(folder, join(parent, "elsewhere")),
    repair: () => rename(join(parent, "elsewhere"), folder),
    close: () => rm(parent, { recursive: true }),
  };
});

describe("a folder of files", () => {
  let folder: string;
  let clock: FakeClock;
  let source: FilesSource;
  let follower: SourceFollower;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "weft-files-"));
    clock = new FakeClock();
    // Looks every 10 ms of test time; events only come on top.
    source = createFilesSource({
      name: "config",
      path: folder,
      clock,
      settleMs: 50,
      lossMs: 250,
      lookMs: 10,
    });
    follower = new SourceFollower();
  });
  afterEach(async () => {
    await source.stop();
    expect(clock.pendingTimers).toBe(0);
    await rm(folder, { recursive: true, force: true });
  });

  const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text);
  const start = (): Promise<void> => source.start(follower.sink);
  /** Lets time pass in small steps. The last look has ended when this returns, because looks queue up. */
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 10) {
      await clock.advance(10);
      await source.idle();
    }
  };

  it("reads multi-document files at any depth, and leaves other names alone", async () => {
    await mkdir(join(folder, "deep", "deeper"), { recursive: true });
    await write("deep/deeper/a.yml", `${entry("a")}---\n${entry("b")}`);
    await write(
      "c.json",
      JSON.stringify({
        apiVersion: "networking.istio.io/v1",
        kind: "WorkloadEntry",
        metadata: { name: "c" },
        spec: { address: "10.0.0.1" },
      }),
    );
    await write(".hidden.yaml", entry("hidden"));
    await write("notes.txt", entry("text"));
    await symlink(folder, join(folder, "deep", "loop"));
    await start();
    expect(follower.keys).toEqual(["a", "b", "c"].map((name) => `WorkloadEntry/default/${name}`));
    expect(follower.live.get("WorkloadEntry/default/b")?.source).toMatchObject({
      file: "deep/deeper/a.yml",
      line: 8,
    });
    expect(follower.report.problems).toEqual([]);
  });

  it("reads a single file", async () => {
    await write("one.yaml", entry("one"));
    const single = createFilesSource({ name: "one", path: join(folder, "one.yaml"), clock });
    await single.start(follower.sink);
    expect(follower.keys).toEqual(["WorkloadEntry/default/one"]);
    await single.stop();
  });

  it("waits until a file has settled before reading it", async () => {
    await start();
    await write("a.yaml", entry("a"));
    await pass(40);
    expect(follower.keys).toEqual([]);
    await write("a.yaml", entry("a", { address: "10.0.0.2", weight: 2 }));
    await pass(40);
    expect(follower.keys).toEqual([]);
    await pass(120);
    expect(follower.keys).toEqual(["WorkloadEntry/default/a"]);
  });

  it("does not delete what an emptied file held until the loss has lasted", async () => {
    await write("a.yaml", `${entry("a")}---\n${entry("b")}`);
    await start();
    await write("a.yaml", "");
    await pass(200);
    expect(follower.keys).toHaveLength(2);
    await write("a.yaml", entry("a"));
    await pass(200);
    expect(follower.keys).toHaveLength(2);
    await pass(200);
    expect(follower.keys).toEqual(["WorkloadEntry/default/a"]);
    await rm(join(folder, "a.yaml"));
    await pass(200);
    expect(follower.keys).toEqual(["WorkloadEntry/default/a"]);
    await pass(200);
    expect(follower.keys).toEqual([]);
  });

  it("keeps everything of a file in which a document no longer says what it is", async () => {
    await write("a.yaml", `${entry("a")}---\n${entry("b")}---\n${entry("c")}`);
    await start();
    const before = new Map(follower.live);
    await write(
      "a.yaml",
      `${entry("a", { address: "10.0.0.9" })}---\napiVersion: networking.istio.io/v1\nkind: [Work`,
    );
    await pass(400);
    expect(follower.keys).toEqual([...before.keys()].sort());
    expect(follower.live.get("WorkloadEntry/default/b")).toBe(before.get("WorkloadEntry/default/b"));
    expect(follower.live.get("WorkloadEntry/default/a")).not.toBe(before.get("WorkloadEntry/default/a"));
    expect(follower.report.stale.map((key) => key.name)).toEqual(["b", "c"]);
    expect(follower.report.problems[0]?.at).toMatchObject({ file: "a.yaml" });
  });

  it("never lets a bad file or document take the good ones down", async () => {
    await write("bad.yaml", "{ this is: [not yaml");
    await write(
      "mixed.yaml",
      `${entry("good")}---\n${entry("broken", { adress: "10.0.0.1" })}---\n${entry("fine")}`,
    );
    await start();
    expect(follower.keys).toEqual(["WorkloadEntry/default/fine", "WorkloadEntry/default/good"]);
    expect(follower.report.problems.map((problem) => problem.at?.file)).toContain("bad.yaml");
    expect(follower.report.problems).toContainEqual({
      path: "spec.adress",
      why: "is not a known field",
      hint: 'did you mean "address"?',
      at: { file: "mixed.yaml", line: 13, column: 3 },
    });
  });

  it("lets the older of two definitions stay and names both places, until one lets go", async () => {
    await write("b.yaml", entry("a", { address: "10.0.0.1" }));
    await start();
    await write("a.yaml", entry("a", { address: "10.0.0.2" }));
    await pass(200);
    expect(follower.live.get("WorkloadEntry/default/a")?.source.file).toBe("b.yaml");
    expect(follower.report.problems).toEqual([
      {
        path: "metadata.name",
        why: "WorkloadEntry/default/a is already defined at b.yaml:1, which stays",
        hint: "remove one of the two",
        at: { file: "a.yaml", line: 1 },
      },
    ]);
    await rm(join(folder, "b.yaml"));
    await pass(400);
    expect(follower.live.get("WorkloadEntry/default/a")?.source.file).toBe("a.yaml");
    expect(follower.report.problems).toEqual([]);
    expect(follower.steps.flatMap((step) => step.deletes)).toEqual([]);
  });

  it("reports one key defined twice in one file", async () => {
    await write(
      "a.yaml",
      `${entry("a", { address: "10.0.0.1" })}---\n${entry("a", { address: "10.0.0.2" })}`,
    );
    await start();
    expect(follower.live.get("WorkloadEntry/default/a")?.object).toMatchObject({
      spec: { address: "10.0.0.1" },
    });
    expect(follower.report.problems[0]?.why).toContain("a.yaml:1, which stays");
  });

  it("moves a resource between files without deleting it", async () => {
    await write("a.yaml", entry("a"));
    await start();
    await rename(join(folder, "a.yaml"), join(folder, "b.yaml"));
    await pass(400);
    expect(follower.live.get("WorkloadEntry/default/a")?.source.file).toBe("b.yaml");
    expect(follower.steps.flatMap((step) => step.deletes)).toEqual([]);
    expect(follower.steps.flatMap((step) => step.report.problems)).toEqual([]);
  });

  it("keeps what a file that cannot be read any more held", async () => {
    await mkdir(join(folder, "sub"));
    await write("sub/a.yaml", entry("a"));
    await write("b.yaml", entry("b"));
    await start();
    await rm(join(folder, "sub"), { recursive: true });
    await symlink("sub", join(folder, "sub"));
    await truncate(join(folder, "b.yaml"), 17 * 1024 * 1024);
    await pass(400);
    expect(follower.keys).toHaveLength(2);
    expect(follower.report.problems.map((problem) => problem.why)).toEqual([
      expect.stringMatching(/^cannot be read: /),
      "the file has 17825792 bytes: the limit is 16777216",
    ]);
    await write("b.yaml", entry("b", { address: "10.0.0.2" }));
    await pass(400);
    expect(follower.report.stale.map((key) => key.name)).toEqual(["a"]);
    expect(follower.live.get("WorkloadEntry/default/b")?.object).toMatchObject({
      spec: { address: "10.0.0.2" },
    });
  });

  it.skipIf(process.getuid?.() === 0)("keeps what an unreadable file or folder held", async () => {
    await mkdir(join(folder, "sub"));
    await write("sub/a.yaml", entry("a"));
    await write("b.yaml", entry("b"));
    await start();
    await chmod(join(folder, "sub"), 0o000);
    await chmod(join(folder, "b.yaml"), 0o000);
    await pass(400);
    expect(follower.keys).toHaveLength(2);
    expect(follower.report.problems).toHaveLength(2);
    await chmod(join(folder, "sub"), 0o700);
  });

  it("starts empty with a problem when the folder is missing, and reads it once it is there", async () => {
    const late = join(folder, "late");
    const waiting = createFilesSource({ name: "late", path: late, clock, lookMs: 10 });
    await waiting.start(follower.sink);
    expect(follower.report.problems).toMatchObject([
      { why: "cannot be read: it does not exist", at: { file: late } },
    ]);
    await mkdir(late);
    await writeFile(join(late, "a.yaml"), entry("a"));
    for (let passed = 0; passed < 100; passed += 10) {
      await clock.advance(10);
      await waiting.idle();
    }
    expect(follower.keys).toEqual(["WorkloadEntry/default/a"]);
    expect(follower.report.problems).toEqual([]);
    await waiting.stop();
  });

  it("reads at once on refresh, deletions too", async () => {
    await write("a.yaml", entry("a"));
    await start();
    await write("b.yaml", entry("b"));
    await rm(join(folder, "a.yaml"));
    await source.refresh();
    expect(follower.keys).toEqual(["WorkloadEntry/default/b"]);
  });
});
