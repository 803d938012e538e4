import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { sidecar } from "../../test/support/xds-mesh.ts";
import { KnownProxies, returnMs } from "./known-proxies.ts";

describe("the proxies that are known", () => {
  let folder: string;
  let clock: FakeClock;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "weft-known-"));
    clock = new FakeClock();
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const started = async () => {
    const known = new KnownProxies({ folder, clock });
    await known.load();
    return known;
  };

  it("are expected back after a restart, but for those that had left, until they had the time", async () => {
    const first = await started();
    for (const name of ["a", "b", "c"]) first.connected(sidecar(name));
    first.disconnected(sidecar("b"));
    await first.stop();
    expect(await readdir(folder)).toEqual(["proxies.json"]);

    const second = await started();
    expect(second.missing).toEqual(["a.default", "c.default"]);
    second.connected(sidecar("a"));
    expect(second.missing).toEqual(["c.default"]);
    await clock.advance(returnMs);
    expect(second.missing).toEqual([]);
    await second.stop();
    expect((await started()).missing).toEqual(["a.default"]);
  });

  it("are known while one of their streams is open", async () => {
    const first = await started();
    first.connected(sidecar("a"));
    first.connected(sidecar("a"));
    first.disconnected(sidecar("a"));
    await first.stop();
    expect((await started()).missing).toEqual(["a.default"]);
  });

  it("are none when the file is damaged", async () => {
    await writeFile(join(folder, "proxies.json"), "[[1");
    expect((await started()).missing).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });
});
