import { describe, expect, it } from "vitest";
import { decodeText } from "../resources/decode-text.ts";
import type { Resource, ResourceKey } from "../resources/resource.ts";
import { formatKey } from "../resources/resource.ts";
import { formatYaml } from "../resources/yaml.ts";
import type { StoreChange, StoreReport } from "./store.ts";
import { createStore } from "./store.ts";

const noReport: StoreReport = { problems: [], skipped: [], stale: [] };

function entry(
  name: string,
  address: string,
  { file = "a.yaml", now = 1, namespace = "default" } = {},
): Resource {
  const object = {
    apiVersion: "networking.istio.io/v1",
    kind: "WorkloadEntry",
    metadata: { name, namespace },
    spec: { address },
  };
  return decodeText(formatYaml(object), file, { now }).resources[0]!;
}

const keyOf = (name: string): ResourceKey => ({ kind: "WorkloadEntry", namespace: "default", name });
const put = (source: string, ...puts: Resource[]) => ({ source, puts, deletes: [], report: noReport });
const remove = (source: string, ...names: string[]) => ({
  source,
  puts: [],
  deletes: names.map(keyOf),
  report: noReport,
});

describe("the store", () => {
  it("counts a version for each step that changed something, and tells the listeners", () => {
    const store = createStore(["config"]);
    const changes: StoreChange[] = [];
    const stop = store.subscribe((change) => changes.push(change));
    store.apply(put("config", entry("a", "10.0.0.1"), entry("b", "10.0.0.1")));
    store.apply(put("config", entry("a", "10.0.0.1")));
    store.apply(put("config", entry("a", "10.0.0.2")));
    store.apply(remove("config", "b", "never-there"));
    stop();
    store.apply(remove("config", "a"));
    expect(
      changes.map(({ version, put, removed }) => [version, put.map(formatKey), removed.map(formatKey)]),
    ).toEqual([
      [1, ["WorkloadEntry/default/a", "WorkloadEntry/default/b"], []],
      [2, ["WorkloadEntry/default/a"], []],
      [3, [], ["WorkloadEntry/default/b"]],
    ]);
    expect(store.version).toBe(4);
    expect(store.list()).toEqual([]);
  });

  it("keeps the age of an object whose content changes", () => {
    const store = createStore(["config"]);
    store.apply(put("config", entry("a", "10.0.0.1", { now: 5 })));
    store.apply(put("config", entry("a", "10.0.0.2", { now: 9 })));
    expect(store.get(keyOf("a"))).toMatchObject({
      createdAt: 5,
      compiled: { endpoint: { address: "10.0.0.2" } },
    });
  });

  it("lets the first source shadow the others and gives their version back", () => {
    const store = createStore(["state", "config"]);
    store.apply(put("config", entry("a", "10.0.0.1", { file: "config.yaml" })));
    expect(store.apply(put("state", entry("a", "10.0.0.2", { file: "state.yaml" }))).put).toHaveLength(1);
    expect(store.sourceOf(keyOf("a"))).toBe("state");
    expect(store.apply(put("config", entry("a", "10.0.0.3", { file: "config.yaml" })))).toMatchObject({
      put: [],
      removed: [],
    });
    expect(store.get(keyOf("a"))?.source.file).toBe("state.yaml");
    expect(store.apply(remove("state", "a")).put).toMatchObject([
      { compiled: { endpoint: { address: "10.0.0.3" } } },
    ]);
    expect(store.sourceOf(keyOf("a"))).toBe("config");
    expect(store.apply(remove("config", "a")).removed).toEqual([keyOf("a")]);
    expect(store.sourceOf(keyOf("a"))).toBeUndefined();
  });

  it("tells a change of place, because provenance travels with the rules", () => {
    const store = createStore(["config"]);
    store.apply(put("config", entry("a", "10.0.0.1", { file: "a.yaml" })));
    expect(store.apply(put("config", entry("a", "10.0.0.1", { file: "b.yaml" }))).put).toHaveLength(1);
  });

  it("lists by kind, namespace and name", () => {
    const store = createStore(["config"]);
    store.apply(
      put(
        "config",
        entry("b", "10.0.0.1"),
        entry("a", "10.0.0.1"),
        entry("z", "10.0.0.1", { namespace: "apps" }),
      ),
    );
    expect(store.list().map(formatKey)).toEqual(
      ["apps/z", "default/a", "default/b"].map((name) => `WorkloadEntry/${name}`),
    );
    expect(store.list("Gateway")).toEqual([]);
  });

  it("holds each source's report and tells when one changed", () => {
    const store = createStore(["state", "config"]);
    const report: StoreReport = { ...noReport, problems: [{ path: "spec", why: "is missing" }] };
    expect(store.apply({ ...put("config"), report })).toMatchObject({ version: 0, reportChanged: true });
    expect(store.apply({ ...put("config"), report }).reportChanged).toBe(false);
    expect([...store.reports()]).toEqual([
      ["state", noReport],
      ["config", report],
    ]);
  });

  it("refuses a source that it was not made for", () => {
    expect(() => createStore(["config"]).apply(put("other"))).toThrow("no source named other");
  });
});
