import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { ControlPlaneMetrics } from "../admin/metrics.ts";
import type { Log } from "../log.ts";
import { formatKey } from "../resources/resource.ts";
import type { PushOutcome } from "../serve/push-outcome.ts";
import type { XdsServer } from "../serve/server.ts";
import type { ConfigChanges } from "../status/config-changes.ts";
import { proxyName } from "../status/proxy-views.ts";
import { versionNumber } from "../status/resource-status.ts";
import type { LastGoodFolder } from "./last-good.ts";
import type { LiveMesh } from "./live-mesh.ts";

export interface PublisherParts {
  readonly mesh: LiveMesh;
  readonly xds: Pick<XdsServer, "push" | "proxies">;
  readonly changes: ConfigChanges;
  readonly metrics: ControlPlaneMetrics;
  readonly lastGood: LastGoodFolder;
  readonly clock: Clock;
  readonly log: Log;
}

/** ms after which a push that some proxy has not answered is worth a line. */
const lateMs = 5_000;

/** ms that the copy on disk may be behind: proxies come first, and a burst of changes is written once. */
const saveDelayMs = 100;

/** Brings a new picture to the proxies and remembers which picture each resource came with. */
export class Publisher {
  readonly #parts: PublisherParts;
  readonly #liveSince = new Map<string, number>();
  #sequence = 0;
  #isReady = false;
  #saved: Promise<void> = Promise.resolve();
  #cancelSave: CancelTimer | undefined;
  #cancelLate: CancelTimer | undefined;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /** The picture that proxies are served now. */
  get version(): string {
    return `v${this.#sequence}`;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** By `KIND/NAMESPACE/NAME`: the number of the picture since which the live version is in it. */
  get liveSince(): ReadonlyMap<string, number> {
    return this.#liveSince;
  }

  /** `since`: monotonic ms when the first of the changes was noticed. A picture that can't be made leaves the one before. */
  publish(since: number): void {
    const { mesh, xds, changes, metrics, log } = this.#parts;
    try {
      const step = mesh.rebuild();
      if (step === undefined) return;
      changes.tell(step.snapshot);
      if (step.previous !== undefined && step.changed.length === 0) return;
      this.#sequence += 1;
      const live = new Set(step.snapshot.resources.map(formatKey));
      for (const key of step.changed.map(formatKey)) {
        if (live.has(key)) this.#liveSince.set(key, this.#sequence);
        else this.#liveSince.delete(key);
      }
      // The first picture is what is there; only what comes after is a change.
      if (step.previous !== undefined) changes.begin(this.version, step.changed, since);
      metrics.pushed();
      xds.push(this.version);
      this.#watchForLate();
      this.#cancelSave ??= this.#parts.clock.after(saveDelayMs, () => this.#save());
    } catch (err) {
      log.error("the new picture of the mesh could not be made; the one before stays", { err });
    }
  }

  pushed(outcome: PushOutcome): void {
    const { changes, metrics, clock } = this.#parts;
    const ms = changes.done(outcome, clock.monotonic());
    if (ms !== undefined && outcome.proxies.length > 0) metrics.settled(ms);
  }

  ready(): void {
    this.#isReady = true;
  }

  stop(): void {
    this.#isReady = false;
    this.#cancelLate?.();
  }

  /** Resolves when the last good copy on disk is that of the newest picture, or could not be written. */
  whenSaved(): Promise<void> {
    if (this.#cancelSave !== undefined) this.#save();
    return this.#saved;
  }

  #save(): void {
    const { lastGood, mesh, log } = this.#parts;
    this.#cancelSave?.();
    this.#cancelSave = undefined;
    this.#saved = lastGood
      .save(mesh.toRemember())
      .catch((err: unknown) => log.warn("the last good copy could not be written", { err }));
  }

  #watchForLate(): void {
    const { clock, xds, changes } = this.#parts;
    const { version } = this;
    this.#cancelLate?.();
    this.#cancelLate = clock.after(lateMs, () => {
      const waiting = xds.proxies().filter((proxy) => versionNumber(proxy.version) < versionNumber(version));
      if (waiting.length > 0) changes.late(version, waiting.map(proxyName));
    });
  }
}
