import type { ProxyNode } from "../../common/model/node.ts";
import type { ResourceSet } from "../../common/xds/encoded-resource.ts";
import type { ClientKind } from "../../common/xds/node.ts";
import type { ResourceKind } from "../../common/xds/type-url.ts";
import { resourceKinds, typeUrl } from "../../common/xds/type-url.ts";
import { takeDeltaRequest } from "../../control-plane/serve/delta.ts";
import type { SessionResponse } from "../../control-plane/serve/session.ts";
import { ProxySession } from "../../control-plane/serve/session.ts";
import { takeSotwRequest } from "../../control-plane/serve/sotw.ts";
import { FakeClock } from "./fake-clock.ts";
import type { SmallMesh } from "./xds-mesh.ts";
import { encodeMesh, sidecar } from "./xds-mesh.ts";

/** A proxy as a test drives it: what was sent to it, in order, and how it answers. */
export class FakeProxy {
  readonly clock = new FakeClock();
  readonly sent: SessionResponse[] = [];
  readonly session: ProxySession;
  readonly settled: string[] = [];
  accepts = true;
  fetches = 0;
  #resources: ResourceSet;
  #pushes = 0;
  /** What `settle` asks for. */
  readonly #endpointNames: string[];

  constructor(
    mesh: SmallMesh,
    protocol: "delta" | "sotw" = "delta",
    client: ClientKind = "weft",
    node: Partial<ProxyNode> = {},
  ) {
    this.#resources = encodeMesh(mesh);
    this.#endpointNames = node.onDemand ? ["*"] : ["a", "b"];
    this.session = new ProxySession({
      peer: { node: { ...sidecar("p"), ...node }, client, clientVersion: "" },
      address: "",
      clock: this.clock,
      push: { sequence: 0, version: "v0" },
      source: {
        resourcesFor: () => {
          this.fetches += 1;
          return this.#resources;
        },
      },
      responder: {
        protocol,
        send: (response) => {
          const whole = [...response.all()];
          this.sent.push({ ...response, all: () => whole });
          return this.accepts;
        },
      },
      onAck: () => {},
      onNack: () => {},
      onFailure: () => {},
      onSettled: (session) => this.settled.push(session.settledPush?.version ?? ""),
    });
  }

  /** The last response of a type. */
  last(kind: ResourceKind): SessionResponse {
    return this.sent.findLast((response) => response.kind === kind)!;
  }

  /** Every response so far as words, such as `cluster +a -b`; forgets them. */
  take(): string[] {
    return this.sent
      .splice(0)
      .map(({ kind, changed, removed }) =>
        [kind, ...changed.map(({ name }) => `+${name}`), ...removed.map((name) => `-${name}`)].join(" "),
      );
  }

  subscribe(
    kind: ResourceKind,
    subscribe: string[] = [],
    initialVersions: ReadonlyMap<string, string> = new Map(),
  ) {
    const request = {
      typeUrl: typeUrl[kind],
      subscribe,
      unsubscribe: [],
      initialVersions,
      responseNonce: "",
    };
    return takeDeltaRequest(this.session, request);
  }

  unsubscribe(kind: ResourceKind, unsubscribe: string[]) {
    const request = {
      typeUrl: typeUrl[kind],
      subscribe: [],
      unsubscribe,
      initialVersions: new Map(),
      responseNonce: "",
    };
    return takeDeltaRequest(this.session, request);
  }

  ack(kind: ResourceKind, nonce = this.last(kind).nonce, error?: string) {
    const names = { subscribe: [], unsubscribe: [], initialVersions: new Map() };
    const answer = {
      typeUrl: typeUrl[kind],
      responseNonce: nonce,
      ...(error === undefined ? {} : { error }),
    };
    takeDeltaRequest(this.session, { ...names, ...answer });
  }

  ask(kind: ResourceKind, resourceNames: string[], nonce = "", error?: string) {
    const request = { typeUrl: typeUrl[kind], resourceNames, versionInfo: "", responseNonce: nonce };
    return takeSotwRequest(this.session, error === undefined ? request : { ...request, error });
  }

  push(mesh: SmallMesh) {
    this.#resources = encodeMesh(mesh);
    this.#pushes += 1;
    this.session.outdated({ sequence: this.#pushes, version: `v${this.#pushes}` });
    this.session.advance();
  }

  /** Subscribes to everything and accepts all that comes. */
  settle(): this {
    this.subscribe("cluster");
    this.subscribe("listener");
    this.subscribe("endpoints", this.#endpointNames);
    this.subscribe("route-configuration", ["http_proxy"]);
    this.subscribe("virtual-host", ["http_proxy"]);
    this.ackAll();
    this.take();
    return this;
  }

  /** Accepts what is on its way, and what follows from that. */
  accept(kinds: readonly ResourceKind[] = resourceKinds) {
    for (let isDone = false; !isDone; ) {
      isDone = true;
      for (const kind of kinds) {
        const { inFlight } = this.session.delivery(kind);
        if (inFlight !== undefined) this.ack(kind, inFlight.nonce);
        if (inFlight !== undefined) isDone = false;
      }
    }
  }

  ackAll() {
    for (let answered = -1; answered !== this.sent.length; ) {
      answered = this.sent.length;
      for (const { kind, nonce } of [...this.sent]) this.ack(kind, nonce);
    }
  }
}
