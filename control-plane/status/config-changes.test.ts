import { beforeEach, describe, expect, it } from "vitest";
import { createLog } from "../log.ts";
import { decodeText } from "../resources/decode-text.ts";
import type { ResourceKey } from "../resources/resource.ts";
import type { ProxyOutcome } from "../serve/push-outcome.ts";
import { buildSnapshot } from "../snapshot/build.ts";
import { ConfigChanges } from "./config-changes.ts";

const key = (name: string): ResourceKey => ({ kind: "VirtualService", namespace: "default", name });

describe("ConfigChanges", () => {
  let lines: string[];
  let changes: ConfigChanges;
  beforeEach(() => {
    lines = [];
    // Without the time in front.
    const write = (line: string) => lines.push(line.slice(13).trimEnd());
    changes = new ConfigChanges(createLog({ level: "info", format: "text" }, write));
  });

  it("says in one line what changed, who runs it, and after how long", () => {
    changes.begin("v2", [key("a"), key("b")], 100);
    const ms = changes.done(
      { version: "v2", durationMs: 3, proxies: [outcome("p1"), outcome("p2")] },
      114.26,
    );
    expect(ms).toBe(14.3);
    expect(lines).toEqual([
      "info  VirtualService/default/a, VirtualService/default/b: 2 of 2 proxies ACKed after 14.3 ms",
    ]);
  });

  it("names who refused what and why, and who left", () => {
    changes.begin("v2", [key("a")], 0);
    const refusals = [{ kind: "virtual-host" as const, names: ["http_proxy/a"], why: "routes[0] is bad" }];
    const proxies = [
      outcome("p1"),
      outcome("p2", { result: "refused", refusals }),
      outcome("p3", { result: "disconnected" }),
    ];
    changes.done({ version: "v2", durationMs: 3, proxies }, 5);
    expect(lines).toEqual([
      "info  VirtualService/default/a: 1 of 3 proxies ACKed after 5 ms, 1 left meanwhile",
      "warn  p2.default refused http_proxy/a and keeps what it had: routes[0] is bad",
    ]);
  });

  it("counts when there is much, says when nobody is there or some are late, and is silent about pushes that changed nothing", () => {
    changes.begin("v2", "abcdefgh".split("").map(key), 0);
    changes.late("v2", ["p1.default"]);
    changes.done({ version: "v2", durationMs: 0, proxies: [] }, 0);
    changes.late("v2", ["p1.default"]);
    expect(changes.done({ version: "v3", durationMs: 0, proxies: [outcome("p1")] }, 0)).toBeUndefined();
    expect(lines).toEqual([
      expect.stringMatching(/e and 3 more: still waiting for p1\.default$/),
      expect.stringMatching(/VirtualService\/default\/e and 3 more: live; no proxy is connected$/),
    ]);
  });

  it("says what turned bad in a file, once, and when the file is good again", () => {
    const problem = { path: "spec.hots", why: "is not a known field", at: { file: "a.yaml", line: 7 } };
    const bad = { problems: [problem], skipped: [], stale: [key("a")] };
    for (const report of [bad, bad, { problems: [], skipped: [], stale: [] }]) {
      changes.tellOfSources(new Map([["config", report]]));
    }
    expect(lines).toEqual([
      "warn  a.yaml:7: spec.hots: is not a known field",
      "warn  VirtualService/default/a stays live in its last good version",
      "info  VirtualService/default/a: its file is good again",
    ]);
  });

  it("tells a problem once, and again when it comes back", () => {
    const text = `{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: a}, spec: {hosts: [a], http: [{route: [{destination: {host: nobody.example.com}}]}]}}`;
    const bad = buildSnapshot(decodeText(text, "mesh.yaml").resources);
    for (const snapshot of [bad, bad, buildSnapshot([]), bad]) changes.tell(snapshot);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(
      /^warn {2}VirtualService\/default\/a: mesh\.yaml:1: spec\.http\[0\].*nobody serves nobody\.example\.com/,
    );
  });
});

function outcome(name: string, rest: Partial<ProxyOutcome> = {}): ProxyOutcome {
  const node = {
    id: name,
    kind: "sidecar" as const,
    name,
    namespace: "default",
    serviceAccount: "default",
    labels: {},
    bindings: { servers: new Map() },
  };
  return { node, result: "accepted", refusals: [], ...rest };
}
