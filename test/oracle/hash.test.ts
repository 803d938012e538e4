import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../common/base/random.ts";
import { xxHash64 } from "../../common/base/xxhash64.ts";
import { fake } from "../../proxy/cluster/balancers/contract.ts";
import { balance } from "../../proxy/cluster/balancers/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import type { HashRecord } from "./hash-record.ts";

const record: HashRecord = JSON.parse(readFileSync(new URL("envoy-hash.json", import.meta.url), "utf8"));

/** Against what a real Envoy picked; `record-hash.ts` is the recipe. */
describe(`consistent hashing picks what Envoy ${record.envoy} picks`, () => {
  it.each(record.cases)("$name", ({ policy, endpoints, picks }) => {
    expect(picks).toHaveLength(record.keys.length);
    const candidates = endpoints.map(({ address, weight }) => fake(address, { weight }));
    const pick = balance(candidates, { policy, random: seededRandom(1), clock: new FakeClock() });
    expect(record.keys.map((key) => pick(xxHash64(key))!.key)).toEqual(picks);
  });
});
