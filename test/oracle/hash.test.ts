import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../common/base/random.ts";
import type { Hash64 } from "../../common/base/xxhash64.ts";
import type { HashPolicy } from "../../common/model/route.ts";
import { fake } from "../../proxy/cluster/balancers/contract.ts";
import { balance } from "../../proxy/cluster/balancers/index.ts";
import { hashKey } from "../../proxy/filters/hash-key.ts";
import { HeaderList } from "../../proxy/http/header-list.ts";
import { plainExchange } from "../support/exchange.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { plainRoute } from "../support/routes.ts";
import type { HashRecord, RecordedCase } from "./hash-record.ts";

const record: HashRecord = JSON.parse(readFileSync(new URL("envoy-hash.json", import.meta.url), "utf8"));
const user: HashPolicy = { kind: "header", name: "x-user" };
const session: HashPolicy = { kind: "cookie", name: "session" };
const query: HashPolicy = { kind: "query-parameter", name: "user" };

/** By the path's first segment, as `record-hash.ts` configured Envoy. */
const policies: Readonly<Record<string, readonly HashPolicy[]>> = {
  "": [user],
  cookie: [session],
  query: [query],
  source: [{ kind: "source-ip" }],
  combined: [user, session, query],
};

/** Against what a real Envoy picked; `record-hash.ts` is the recipe. */
describe(`consistent hashing picks what Envoy ${record.envoy} picks`, () => {
  it.each(record.cases)("$name", ({ picks, ...one }) => {
    expect(picks).toHaveLength(record.keys.length);
    const pick = picker(one);
    expect(record.keys.map((key) => pick(keyOf([["x-user", key]], "/"))!.key)).toEqual(picks);
  });

  it.each(record.sources)("by another key: $name", ({ headers, path, pick }) => {
    const of = record.cases.find(({ name }) => name === "maglev-10")!;
    expect(picker(of)(keyOf(headers, path))!.key).toBe(pick);
  });
});

function picker({ policy, endpoints }: RecordedCase) {
  const candidates = endpoints.map(({ address, weight }) => fake(address, { weight }));
  return balance(candidates, { policy, random: seededRandom(1), clock: new FakeClock() });
}

function keyOf(headers: readonly (readonly [string, string])[], path: string): Hash64 | undefined {
  const exchange = plainExchange({ path, headers: new HeaderList(headers.flat()) });
  const route = plainRoute("r");
  const hashPolicies = policies[/^\/(\w*)/.exec(path)![1]!]!;
  const action = { kind: "forward" as const, destinations: [], mirrors: [], hashPolicies };
  const layer = hashKey.build(
    { ...route, action },
    { clock: new FakeClock(), random: seededRandom(1), upstream: () => () => Promise.reject() },
  );
  void layer!(() => new Promise(() => {}))(exchange);
  return exchange.hashKey;
}
