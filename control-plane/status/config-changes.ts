import { formatProblem } from "../../common/base/problem.ts";
import type { Log } from "../log.ts";
import type { ResourceKey } from "../resources/resource.ts";
import { formatKey } from "../resources/resource.ts";
import type { PushOutcome } from "../serve/push-outcome.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { StoreReport } from "../store/store.ts";
import { round } from "./proxy-views.ts";

interface Change {
  readonly keys: readonly string[];
  /** Monotonic ms: when the store learned of it. */
  readonly since: number;
}

/** How many changed resources a line names before it only counts. */
const named = 5;
const inLastGood = " stays live in its last good version";

/** Says in one line per change what changed, who runs it and after how long; and what waits or is wrong, once. */
export class ConfigChanges {
  readonly #log: Log;
  readonly #open = new Map<string, Change>();
  #told = new Set<string>();
  #toldOfSources = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  begin(version: string, changed: readonly ResourceKey[], since: number): void {
    this.#open.set(version, { keys: changed.map(formatKey), since });
  }

  /** Every proxy answered. Returns ms since the change was noticed; undefined for a push that changed no resource. */
  done(outcome: PushOutcome, now: number): number | undefined {
    const change = this.#open.get(outcome.version);
    this.#open.delete(outcome.version);
    if (change === undefined || change.keys.length === 0) return undefined;
    const ms = round(now - change.since);
    const count = (result: string) => outcome.proxies.filter((proxy) => proxy.result === result).length;
    const { length: total } = outcome.proxies;
    const gone = count("disconnected");
    const acked = count("accepted");
    const fields = { version: outcome.version, changed: change.keys, proxies: total, acked, ms };
    const what = summarize(change.keys);
    if (total === 0) this.#log.info(`${what}: live; no proxy is connected`, fields);
    else {
      const left = gone === 0 ? "" : `, ${gone} left meanwhile`;
      this.#log.info(`${what}: ${acked} of ${total} proxies ACKed after ${ms} ms${left}`, fields);
    }
    for (const { node, refusals } of outcome.proxies) {
      for (const { names, why } of refusals) {
        const proxy = `${node.name}.${node.namespace}`;
        this.#log.warn(`${proxy} refused ${names.join(", ")} and keeps what it had: ${why}`, {
          proxy,
          names,
          why,
        });
      }
    }
    return ms;
  }

  /** To be called when a push is taking long. */
  late(version: string, waitingFor: readonly string[]): void {
    const change = this.#open.get(version);
    if (change === undefined) return;
    const rest = waitingFor.length > named ? ` and ${waitingFor.length - named} more` : "";
    const what = summarize(change.keys);
    this.#log.warn(`${what}: still waiting for ${waitingFor.slice(0, named).join(", ")}${rest}`, {
      version,
      waitingFor,
    });
  }

  /** Logs the problems of a picture that the one before did not have. Infos are for those who ask. */
  tell({ held, problems }: Snapshot): void {
    const told = new Set<string>();
    const waiting = new Set(held.flatMap((entry) => entry.problems));
    for (const problem of problems) {
      if (problem.severity === "info") continue;
      const line = `${formatKey(problem.resource)}${waiting.has(problem) ? " waits" : ""}: ${formatProblem(problem)}`;
      told.add(line);
      if (!this.#told.has(line)) this.#log.warn(line, { resource: formatKey(problem.resource) });
    }
    this.#told = told;
  }

  /** Logs what sources can't read that they could, or that is new. */
  tellOfSources(reports: ReadonlyMap<string, StoreReport>): void {
    const told = new Set<string>();
    for (const [source, { problems, stale }] of reports) {
      for (const problem of problems) {
        if (problem.severity === "info") continue;
        const line = formatProblem(problem);
        told.add(line);
        if (!this.#toldOfSources.has(line)) this.#log.warn(line, { source });
      }
      for (const key of stale) {
        const line = `${formatKey(key)}${inLastGood}`;
        told.add(line);
        if (!this.#toldOfSources.has(line)) this.#log.warn(line, { source, resource: formatKey(key) });
      }
    }
    for (const line of this.#toldOfSources) {
      if (line.endsWith(inLastGood) && !told.has(line)) {
        this.#log.info(`${line.slice(0, -inLastGood.length)}: its file is good again`);
      }
    }
    this.#toldOfSources = told;
  }
}

function summarize(keys: readonly string[]): string {
  if (keys.length <= named) return keys.join(", ");
  return `${keys.slice(0, named).join(", ")} and ${keys.length - named} more`;
}
