import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Problem } from "../../common/base/problem.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import type { LastGoodParts } from "./last-good.ts";
import { LastGood } from "./last-good.ts";
import type { Received } from "./proxy-config.ts";
import { emptyConfig } from "./proxy-config.ts";

let directory: string;
let problems: Problem[];
const clock = new FakeClock();

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "weft-last-good-"));
  problems = [];
});

afterEach(() => rm(directory, { recursive: true, force: true }));

describe("LastGood", () => {
  it("reads back what it wrote, byte by byte", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const copy = open();
    copy.save(received("c1", bytes));
    await copy.flush();
    expect(await open().load()).toEqual({
      resources: [{ type: "cluster", name: "c1", version: "7", bytes }],
      problems: [],
    });
    expect(await readdir(directory)).toEqual(["last-good.json"]);
  });

  it("is empty without complaint when nothing was ever written", async () => {
    expect(await open({ directory: join(directory, "none") }).load()).toEqual({
      resources: [],
      problems: [],
    });
  });

  it("writes a burst of changes once, the last one", async () => {
    const copy = open();
    for (let i = 0; i < 100; i++) copy.save(received(`c${i}`));
    expect(await readdir(directory)).toEqual([]);
    await clock.advance(1_000);
    await copy.flush();
    expect((await open().load()).resources.map(({ name }) => name)).toEqual(["c99"]);
    expect(clock.pendingTimers).toBe(0);
  });

  it("makes its directory", async () => {
    const copy = open({ directory: join(directory, "a/b") });
    copy.save(received("c"));
    await copy.flush();
    expect((await copy.load()).resources).toHaveLength(1);
  });

  it.each([
    ["cut off", (text: string) => text.slice(0, -10), "damaged"],
    ["changed in one byte", (text: string) => text.replace("c1", "c2"), "damaged"],
    ["empty", () => "", "not a last-good file"],
    ["something else", () => '{"format":"x"}\n[]', "not a last-good file"],
    ["binary rubbish", () => "\u0000\uffff{", "not a last-good file"],
  ])("reports and ignores a file that is %s", async (_, damage, why) => {
    const copy = open();
    copy.save(received("c1"));
    await copy.flush();
    await writeFile(copy.file, damage(await readFile(copy.file, "utf8")));
    const loaded = await open().load();
    expect(loaded.resources).toEqual([]);
    expect(loaded.problems[0]!.why).toContain(why);
  });

  it("does not read another proxy's copy", async () => {
    const copy = open();
    copy.save(received("c1"));
    await copy.flush();
    const loaded = await open({ node: "sidecar~other" }).load();
    expect(loaded.resources).toEqual([]);
    expect(loaded.problems[0]!.why).toContain("another proxy");
  });

  it("reports a copy that can't be written and goes on", async () => {
    await writeFile(join(directory, "file"), "");
    const copy = open({ directory: join(directory, "file") });
    copy.save(received("c1"));
    await copy.flush();
    expect(problems).toHaveLength(1);
    expect(problems[0]!.why).toContain("can't write");
  });
});

function open(parts: Partial<LastGoodParts> = {}): LastGood {
  return new LastGood({
    directory,
    node: "sidecar~me",
    clock,
    onProblem: (problem) => problems.push(problem),
    ...parts,
  });
}

function received(name: string, bytes: Uint8Array = new Uint8Array(3)): Received {
  return {
    ...emptyConfig.received,
    cluster: new Map([[name, { value: {}, version: "7", bytes }]]),
  } as unknown as Received;
}
