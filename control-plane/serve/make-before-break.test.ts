import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeResource } from "../../common/xds/decode-resource.ts";
import type { ResourceSet } from "../../common/xds/encoded-resource.ts";
import type { ResourceKind } from "../../common/xds/type-url.ts";
import { resourceKinds, typeUrl } from "../../common/xds/type-url.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { encodeMesh, endpoint, sidecar } from "../../test/support/xds-mesh.ts";
import { takeDeltaRequest } from "./delta.ts";
import { OnDemandView } from "./on-demand.ts";
import type { Responder, SessionResponse } from "./session.ts";
import { ProxySession, removalHoldMs } from "./session.ts";

/** Random pushes, answers, full buffers and reconnects; whatever the order, no route may name what is not there. */

const clusterNames = ["a", "b", "c", "d"];
const mesh = fc
  .record({
    /** Per cluster a port for its endpoint; 0: no such cluster. */
    ports: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 4, maxLength: 4 }),
    hosts: fc.dictionary(fc.constantFrom("h1", "h2", "h3"), fc.constantFrom(...clusterNames)),
  })
  .map(({ ports, hosts }) => {
    const clusters = Object.fromEntries(
      clusterNames.flatMap((name, index) =>
        ports[index] ? [[name, [endpoint("127.0.0.1", ports[index])]]] : [],
      ),
    );
    // A consistent picture: routes name only clusters that are in it.
    return encodeMesh({
      clusters,
      hosts: Object.fromEntries(Object.entries(hosts).filter(([, to]) => to in clusters)),
    });
  });
type Step =
  | { readonly do: "push"; readonly mesh: ResourceSet }
  | { readonly do: "ask" | "leave"; readonly host: string }
  | { readonly do: "answer" | "block" | "unblock" | "reconnect" | "wait" };
const asking = fc.record({
  do: fc.constantFrom("ask" as const, "leave" as const),
  host: fc.constantFrom("h1", "h2", "h3", "nobody"),
});
const rare = fc.constantFrom("block" as const, "unblock" as const, "reconnect" as const, "wait" as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: mesh.map((to) => ({ do: "push" as const, mesh: to })) },
  { weight: 8, arbitrary: fc.constant({ do: "answer" as const }) },
  { weight: 2, arbitrary: asking },
  { weight: 1, arbitrary: rare.map((word) => ({ do: word })) },
);

/** A proxy that obeys the protocol: applies, subscribes to what follows, answers, in the order in which responses came. */
class ObedientProxy {
  readonly held = new Map<ResourceKind, Map<string, string>>(resourceKinds.map((kind) => [kind, new Map()]));
  readonly #targets = new Map<string, string>();
  readonly #clock: FakeClock;
  #resources: ResourceSet;
  #incoming: SessionResponse[] = [];
  #accepts = true;
  #pushes = 0;
  #names = new Map<ResourceKind, readonly string[]>();
  readonly #isOnDemand: boolean;
  readonly #hosts = new Set<string>();
  #session: ProxySession;

  constructor(first: ResourceSet, clock: FakeClock, isOnDemand: boolean) {
    this.#resources = first;
    this.#isOnDemand = isOnDemand;
    if (isOnDemand) this.#names.set("endpoints", ["*"]);
    this.#clock = clock;
    this.#session = this.#connect();
  }

  async run(next: Step): Promise<void> {
    if (next.do === "push") {
      this.#resources = next.mesh;
      this.#session.outdated({ sequence: ++this.#pushes, version: `v${this.#pushes}` });
      this.#session.advance();
    } else if (next.do === "ask" || next.do === "leave") {
      if (next.do === "ask") this.#hosts.add(`http_proxy/${next.host}`);
      else this.#hosts.delete(`http_proxy/${next.host}`);
      if (this.#names.has("virtual-host")) this.#follow("virtual-host", this.#hostNames());
    } else if (next.do === "answer") this.#answer();
    else if (next.do === "block") this.#accepts = false;
    else if (next.do === "wait") await this.#clock.advance(removalHoldMs);
    else if (next.do === "unblock") this.#unblock();
    else if (next.do === "reconnect") {
      this.#session.close();
      this.#incoming = [];
      this.#accepts = true;
      this.#session = this.#connect();
    }
    this.check();
  }

  async finish(): Promise<void> {
    this.#unblock();
    for (let round = 0; round < 3; round++) {
      while (this.#answer()) this.check();
      await this.#clock.advance(removalHoldMs);
    }
    const names = new Set(this.#hostNames());
    const due = this.#isOnDemand ? new OnDemandView().of(this.#resources, names) : this.#resources;
    for (const kind of resourceKinds) {
      const wanted = [...(due.get(typeUrl[kind]) ?? [])].map(([name, { version }]) => [name, version]);
      expect(Object.fromEntries(this.held.get(kind)!), kind).toEqual(Object.fromEntries(wanted));
    }
    expect(this.#session.settledPush?.sequence).toBe(this.#pushes);
  }

  check(): void {
    for (const target of this.#targets.values()) {
      if (!this.held.get("cluster")!.has(target))
        throw new Error(`a route names cluster ${target}, which is not there`);
      if (!this.held.get("endpoints")!.has(target))
        throw new Error(`a route names ${target}, whose endpoints are not there`);
    }
  }

  #connect(): ProxySession {
    const responder: Responder = {
      protocol: "delta",
      send: (response) => {
        this.#incoming.push(response);
        return this.#accepts;
      },
    };
    this.#session = new ProxySession({
      peer: { node: { ...sidecar("p"), onDemand: this.#isOnDemand }, client: "weft", clientVersion: "" },
      address: "",
      responder,
      clock: this.#clock,
      push: { sequence: this.#pushes, version: `v${this.#pushes}` },
      source: { resourcesFor: () => this.#resources },
      onAck: () => {},
      onNack: () => {},
      onFailure: () => {},
      onSettled: () => {},
    });
    for (const kind of resourceKinds) {
      const subscribe = this.#names.get(kind) ?? [];
      const isWildcard = kind === "cluster" || kind === "listener";
      if (isWildcard || subscribe.length > 0)
        this.#request(kind, { subscribe, initialVersions: this.held.get(kind)! });
    }
    return this.#session;
  }

  #request(kind: ResourceKind, more: Partial<Parameters<typeof takeDeltaRequest>[1]>): void {
    const nothing = {
      typeUrl: typeUrl[kind],
      subscribe: [],
      unsubscribe: [],
      initialVersions: new Map(),
      responseNonce: "",
    };
    takeDeltaRequest(this.#session, { ...nothing, ...more });
  }

  #unblock(): void {
    this.#accepts = true;
    this.#session.unblock();
  }

  #answer(): boolean {
    const response = this.#incoming.shift();
    if (!response) return false;
    const { kind, nonce, changed, removed } = response;
    const held = this.held.get(kind)!;
    for (const name of removed) {
      held.delete(name);
      this.#targets.delete(name);
    }
    for (const { name, version, bytes } of changed) {
      // It was on its way when its subscription ended.
      if (kind === "endpoints" && !this.#isOnDemand && !this.#names.get(kind)?.includes(name)) continue;
      held.set(name, version);
      const host = kind === "virtual-host" ? decodeResource(kind, bytes) : undefined;
      const action = host?.ok ? host.value.routes[0]?.action : undefined;
      if (action?.kind === "forward") this.#targets.set(name, action.destinations[0]!.destination);
    }
    if (kind === "cluster" && !this.#isOnDemand) this.#follow("endpoints", [...held.keys()]);
    if (kind === "listener") this.#follow("route-configuration", ["http_proxy"]);
    if (kind === "route-configuration") this.#follow("virtual-host", this.#hostNames());
    this.#request(kind, { responseNonce: nonce });
    return true;
  }

  #hostNames(): readonly string[] {
    return ["http_proxy", ...(this.#isOnDemand ? this.#hosts : [])];
  }

  #follow(kind: ResourceKind, names: readonly string[]): void {
    const before = this.#names.get(kind) ?? [];
    this.#names.set(kind, names);
    const subscribe = names.filter((name) => !before.includes(name));
    const unsubscribe = before.filter((name) => !names.includes(name));
    // What is left of a route configuration's virtual hosts is for the control plane to say.
    if (kind !== "virtual-host") for (const name of unsubscribe) this.held.get(kind)!.delete(name);
    if (subscribe.length + unsubscribe.length > 0) this.#request(kind, { subscribe, unsubscribe });
  }
}

describe("a session, whatever happens in whatever order", () => {
  it.each([
    ["everything", false],
    ["what it asks for", true],
  ])(
    "never lets a route name what is not there, and ends with exactly what a proxy should have that gets %s",
    async (_what, isOnDemand) => {
      await fc.assert(
        fc.asyncProperty(mesh, fc.array(step, { maxLength: 60 }), async (first, steps) => {
          const proxy = new ObedientProxy(first, new FakeClock(), isOnDemand);
          for (const next of steps) await proxy.run(next);
          await proxy.finish();
        }),
        { numRuns: 1_500 },
      );
    },
  );
});
