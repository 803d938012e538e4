import type { BulkResult } from "./bulk.ts";
import { printBulk } from "./bulk.ts";
import type { HopResult, HopRow } from "./hop.ts";
import { printHop } from "./hop-table.ts";

export interface TwoHopResult {
  readonly hops: HopResult;
  readonly bulk: BulkResult;
}

/** Weft's requests per core and second as a multiple of those of the faster of Envoy's two ways; undefined without Envoy. */
export function timesBetterEnvoy({ hops }: TwoHopResult): number | undefined {
  const { weft, envoys } = weftAndEnvoys(hops, ({ requestsPerCoreSecond }) => requestsPerCoreSecond);
  return weft === undefined || envoys.length === 0 ? undefined : weft / Math.max(...envoys);
}

/** The same of the p99 at a fixed rate, less being better. */
export function p99TimesEnvoy({ hops }: TwoHopResult): number | undefined {
  const { weft, envoys } = weftAndEnvoys(hops, ({ calmP99Ms }) => calmP99Ms);
  return weft === undefined || envoys.length === 0 ? undefined : weft / Math.min(...envoys);
}

/** How many times longer the slowest small requests take while large bodies share their connection. */
export function p99TimesBesideBulk({ bulk }: TwoHopResult): number | undefined {
  const weft = bulk.rows.find(({ peer }) => peer === "Weft");
  return weft && weft.besideP99Ms / weft.quietP99Ms;
}

function weftAndEnvoys(
  { rows }: HopResult,
  value: (row: HopRow) => number | undefined,
): { readonly weft: number | undefined; readonly envoys: readonly number[] } {
  const of = (name: string) => rows.filter(({ peer }) => peer === name).map(value)[0];
  const envoys = [of("Envoy"), of("Envoy h2")].filter((found) => found !== undefined);
  return { weft: of("Weft"), envoys };
}

export function printTwoHops(result: TwoHopResult): string {
  const times = timesBetterEnvoy(result);
  const verdict =
    times === undefined
      ? []
      : [`Per core, Weft answers ${times.toFixed(2)} × as many requests as the better of Envoy's two ways.`];
  return [printHop(result.hops), ...verdict, printBulk(result.bulk)].join("\n\n");
}
