import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Resource } from "../resources/resource.ts";
import { formatKey } from "../resources/resource.ts";
import type { Source, SourceChanges, SourceReport } from "./source.ts";

/** What a source under test reads from, and how a test changes it. Names are object names; specs are a WorkloadEntry's. */
export interface SourceStage {
  readonly source: Source;
  /** Writes one WorkloadEntry of the namespace "default". */
  put(name: string, spec: unknown): Promise<void>;
  remove(name: string): Promise<void>;
  /** Makes everything unreadable at once, as a lost connection or an unmounted disk does. */
  breakDown(): Promise<void>;
  repair(): Promise<void>;
  close(): Promise<void>;
}

/** Follows a source as the store does, and lets a test wait for what it expects instead of sleeping. */
export class SourceFollower {
  readonly live = new Map<string, Resource>();
  readonly steps: SourceChanges[] = [];
  report: SourceReport = { problems: [], skipped: [], stale: [] };
  #waiting: (() => void)[] = [];

  readonly sink = (changes: SourceChanges): void => {
    this.steps.push(changes);
    for (const key of changes.deletes) this.live.delete(formatKey(key));
    for (const resource of changes.puts) this.live.set(formatKey(resource), resource);
    this.report = changes.report;
    for (const wake of this.#waiting.splice(0)) wake();
  };

  get keys(): string[] {
    return [...this.live.keys()].sort();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }
}

/** What every source promises, whatever it reads from. */
export function sourceContract(title: string, setUp: () => Promise<SourceStage>): void {
  describe(`${title}, as every source`, () => {
    let stage: SourceStage;
    let follower: SourceFollower;

    beforeEach(async () => {
      stage = await setUp();
      follower = new SourceFollower();
    });
    afterEach(async () => {
      await stage.source.stop();
      await stage.close();
    });

    it("tells all that is there before start returns", async () => {
      await stage.put("a", { address: "10.0.0.1" });
      await stage.put("b", { address: "10.0.0.2" });
      await stage.source.start(follower.sink);
      expect(follower.keys).toEqual(["WorkloadEntry/default/a", "WorkloadEntry/default/b"]);
      expect(follower.steps.every((step) => step.source === stage.source.name)).toBe(true);
    });

    it("tells what comes, changes and goes, and nothing of what stays", async () => {
      await stage.put("stays", { address: "10.0.0.1" });
      await stage.put("changes", { address: "10.0.0.1" });
      await stage.put("goes", { address: "10.0.0.1" });
      await stage.source.start(follower.sink);
      const first = follower.live.get("WorkloadEntry/default/changes");
      follower.steps.length = 0;
      await stage.put("comes", { address: "10.0.0.1" });
      await stage.put("changes", { address: "10.0.0.9" });
      await stage.remove("goes");
      await follower.until(
        () =>
          follower.live.has("WorkloadEntry/default/comes") &&
          !follower.live.has("WorkloadEntry/default/goes") &&
          follower.live.get("WorkloadEntry/default/changes")?.version !== first?.version,
      );
      const told = follower.steps.flatMap((step) => [...step.puts, ...step.deletes].map(formatKey));
      expect(new Set(told)).toEqual(
        new Set(["comes", "changes", "goes"].map((name) => `WorkloadEntry/default/${name}`)),
      );
      expect(follower.live.get("WorkloadEntry/default/changes")?.createdAt).toBe(first?.createdAt);
    });

    it("keeps the last good version of a resource that turned bad, and says where the fault is", async () => {
      await stage.put("a", { address: "10.0.0.1" });
      await stage.source.start(follower.sink);
      const good = follower.live.get("WorkloadEntry/default/a");
      await stage.put("a", { address: "not an address" });
      await follower.until(() => follower.report.problems.length > 0);
      expect(follower.live.get("WorkloadEntry/default/a")).toBe(good);
      expect(follower.report.stale).toEqual([{ kind: "WorkloadEntry", namespace: "default", name: "a" }]);
      expect(follower.report.problems[0]).toMatchObject({ path: "spec.address" });
      await stage.put("a", { address: "10.0.0.2" });
      await follower.until(() => follower.report.problems.length === 0);
      expect(follower.live.get("WorkloadEntry/default/a")?.version).not.toBe(good?.version);
      expect(follower.report.stale).toEqual([]);
    });

    it("empties nothing when it breaks down, reports it, and goes on when it is repaired", async () => {
      await stage.put("a", { address: "10.0.0.1" });
      await stage.source.start(follower.sink);
      await stage.breakDown();
      await follower.until(() => follower.report.problems.length > 0);
      expect(follower.keys).toEqual(["WorkloadEntry/default/a"]);
      expect(follower.report.stale).toEqual([{ kind: "WorkloadEntry", namespace: "default", name: "a" }]);
      await stage.repair();
      await stage.put("b", { address: "10.0.0.2" });
      await follower.until(() => follower.live.has("WorkloadEntry/default/b"));
      await follower.until(() => follower.report.problems.length === 0);
      expect(follower.keys).toEqual(["WorkloadEntry/default/a", "WorkloadEntry/default/b"]);
    });

    it("tells nothing after it was stopped", async () => {
      await stage.source.start(follower.sink);
      await stage.source.stop();
      const steps = follower.steps.length;
      await stage.put("late", { address: "10.0.0.1" });
      await stage.source.stop();
      expect(follower.steps).toHaveLength(steps);
    });
  });
}
