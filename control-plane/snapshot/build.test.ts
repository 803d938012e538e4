import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatProblem } from "../../common/base/problem.ts";
import { decodeText } from "../resources/decode-text.ts";
import type { Resource } from "../resources/resource.ts";
import { formatKey } from "../resources/resource.ts";
import { buildSnapshot } from "./build.ts";
import type { Snapshot } from "./snapshot.ts";

const service = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: reviews }
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints:
    - { address: 10.0.0.1, labels: { version: v1 } }
    - { address: 10.0.0.2, labels: { version: v2 } }
`;
const rule = (...subsets: string[]) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  subsets: [${subsets.map((name) => `{ name: ${name}, labels: { version: ${name} } }`).join(", ")}]
`;
const virtual = (destination: string, name = "reviews") => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [reviews]
  http: [{ route: [{ destination: { host: reviews, ${destination} } }] }]
`;
const toSubset = (subset: string) => virtual(`subset: ${subset}`);

describe("buildSnapshot", () => {
  it("lets a VirtualService wait for the subset that it names, and goes on by itself when the DestinationRule comes", () => {
    const before = build([service]);
    const waiting = build([service, toSubset("v2")], before);
    expect(waiting.virtualServices.all).toEqual([]);
    expect(waiting.held.map(({ key }) => formatKey(key))).toEqual(["VirtualService/default/reviews"]);
    expect(told(waiting)).toEqual([
      'mesh.yaml:19: spec.http[0].route[0].destination.subset: no DestinationRule defines subset "v2" of ' +
        "reviews.default.svc.cluster.local (hint: apply a DestinationRule for reviews.default.svc.cluster.local that defines it)",
    ]);
    const complete = build([service, toSubset("v2"), rule("v1", "v2")], waiting);
    expect(complete.held).toEqual([]);
    expect(complete.virtualServices.all).toHaveLength(1);
  });

  it("keeps the version before when a new one names a subset that nobody defines, and guesses the name", () => {
    const good = build([service, rule("v1", "v2"), toSubset("v1")]);
    const bad = build([service, rule("v1", "v2"), toSubset("v22")], good);
    expect(bad.virtualServices.all[0]).toBe(good.virtualServices.all[0]);
    expect(bad.held[0]?.live).toBe(good.resources.find(({ kind }) => kind === "VirtualService"));
    expect(told(bad)[0]).toContain('did you mean "v2"? defined are v1, v2');
  });

  it("keeps a subset alive that a live VirtualService needs, whether it was edited away or its rule deleted", () => {
    const good = build([service, rule("v1", "v2"), toSubset("v2")]);
    for (const rest of [[rule("v1")], []]) {
      const held = build([service, toSubset("v2"), ...rest], good);
      const kept = held.destinationRules.byNamespace
        .get("default")
        ?.byHost.get("reviews.default.svc.cluster.local");
      expect(kept?.subsets.map(({ name }) => name)).toEqual(["v1", "v2"]);
      expect(held.held.map(({ key }) => formatKey(key))).toEqual(["DestinationRule/default/reviews"]);
      expect(told(held)[0]).toContain(
        "VirtualService/default/reviews still needs what this change takes away",
      );
      const moved = build([service, toSubset("v1"), rule("v1")], held);
      expect(moved.held).toEqual([]);
    }
  });

  it("takes a VirtualService and the DestinationRule that it needs away together", () => {
    const good = build([service, rule("v2"), toSubset("v2")]);
    const gone = build([service], good);
    expect(gone.held).toEqual([]);
    expect(gone.resources.map(({ kind }) => kind)).toEqual(["ServiceEntry"]);
  });

  it("never holds back an endpoint that left, nor the end of a service", () => {
    const good = build([service, rule("v1"), toSubset("v1")]);
    const without = service.replace(/ +- \{ address: 10.0.0.1.*\n/, "");
    const fewer = build([without, rule("v1"), toSubset("v1")], good);
    expect(addresses(fewer)).toEqual(["10.0.0.2:80"]);
    const gone = build([rule("v1"), toSubset("v1")], good);
    expect(gone.services.byKey.size).toBe(0);
    expect(told(gone)[0]).toContain(
      "nobody serves reviews.default.svc.cluster.local; requests that go there get 503",
    );
  });

  it("refuses a port that the service has not", () => {
    const snapshot = build([service, virtual("port: { number: 81 }")]);
    expect(told(snapshot)).toEqual([
      "mesh.yaml:19: spec.http[0].route[0].destination.port.number: reviews.default.svc.cluster.local has no port 81 (hint: its ports are 80)",
    ]);
    expect(snapshot.virtualServices.all).toEqual([]);
  });

  it("ends at the same picture in whatever order, and steps, the resources come", () => {
    const parts = [service, rule("v1", "v2"), toSubset("v2"), virtual("port: { number: 80 }", "second")];
    const all = [...decode(parts)];
    const expected = buildSnapshot(all);
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), (order) => {
        let snapshot: Snapshot | undefined;
        for (let count = 1; count <= order.length; count++) {
          snapshot = buildSnapshot(order.slice(0, count), snapshot);
          expectNoDanglingSubset(snapshot);
        }
        expect(snapshot).toEqual(expected);
      }),
    );
  });

  it("gives unchanged parts back as the same objects", () => {
    const before = build([service, rule("v1", "v2"), toSubset("v1")]);
    const after = build([service, rule("v1", "v2"), toSubset("v2")], before);
    const key = "default/reviews.default.svc.cluster.local";
    expect(after.services.byKey.get(key)).toBe(before.services.byKey.get(key));
    expect(after.endpoints.get(key)).toBe(before.endpoints.get(key));
    const ruleOf = ({ destinationRules }: Snapshot) =>
      [...destinationRules.byNamespace.get("default")!.byHost.values()][0];
    expect(ruleOf(after)).toBe(ruleOf(before));
    expect(after.virtualServices.all[0]).not.toBe(before.virtualServices.all[0]);
    expect(Object.isFrozen(after.virtualServices.all[0]!.rules[0])).toBe(true);
  });

  it("merges ServiceEntries of one host, and says when they disagree", () => {
    const more = service
      .replace("name: reviews", "name: reviews-more")
      .replace("STATIC", "DNS")
      .replace("10.0.0.1", "10.0.0.9");
    const snapshot = build([service, more]);
    expect(addresses(snapshot)).toEqual(["10.0.0.1:80", "10.0.0.2:80", "10.0.0.9:80"]);
    expect(told(snapshot)[0]).toContain(
      "is dns here but static in ServiceEntry default/reviews, which is older and decides",
    );
  });

  it("follows delegates one level, and says what is wrong with others", () => {
    const root = (name: string, to: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [${name}.example.com]
  http: [{ delegate: { name: ${to} } }]
`;
    const hidden = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: hidden, namespace: team }
spec:
  exportTo: ["."]
  http: [{ route: [{ destination: { host: reviews } }] }]
`;
    const snapshot = build([
      service,
      root("a", "missing"),
      root("b", "reviews"),
      virtual("port: { number: 80 }"),
      root("c", "hidden, namespace: team"),
      hidden,
    ]);
    expect(snapshot.virtualServices.all.map(({ key }) => key.name)).toEqual(["reviews"]);
    expect(snapshot.held.map(({ key, problems }) => `${key.name}: ${problems[0]?.why}`)).toEqual([
      "a: there is no VirtualService default/missing to delegate to",
      "b: VirtualService default/reviews has hosts, so nothing can delegate to it",
      "c: VirtualService team/hidden is not exported to namespace default",
    ]);
  });
});

function decode(documents: readonly string[]): readonly Resource[] {
  const { resources, problems } = decodeText(documents.join("---"), "mesh.yaml");
  expect(problems.filter(({ severity }) => severity !== "warning")).toEqual([]);
  return resources;
}

function build(documents: readonly string[], previous?: Snapshot): Snapshot {
  return buildSnapshot(decode(documents), previous);
}

function told({ problems }: Snapshot): string[] {
  return problems.map(formatProblem);
}

function addresses({ endpoints }: Snapshot): string[] {
  return [...endpoints.values()].flatMap(({ byPort }) =>
    [...byPort.values()].flat().map(({ address, port }) => `${address}:${port}`),
  );
}

function expectNoDanglingSubset(snapshot: Snapshot): void {
  const defined = [...snapshot.destinationRules.byNamespace.values()].flatMap(({ byHost }) =>
    [...byHost.values()].flatMap(({ subsets }) => subsets.map(({ name }) => name)),
  );
  for (const { route } of snapshot.virtualServices.all.flatMap(({ rules }) => rules)) {
    if (route.action.kind !== "forward") continue;
    for (const { destination } of route.action.destinations) {
      if (destination.subset !== undefined) expect(defined).toContain(destination.subset);
    }
  }
}
