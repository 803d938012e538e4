import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { EncodedResource, ResourceSet } from "../../common/xds/encoded-resource.ts";
import type { ProxyPeer } from "../../common/xds/node.ts";
import type { ResourceKind } from "../../common/xds/type-url.ts";
import { resourceKinds, splitVirtualHostResourceName, typeUrl } from "../../common/xds/type-url.ts";
import type { Delivery, NackRecord } from "./acks.ts";
import { withInlineRoutes } from "./inline-routes.ts";
import { OnDemandView } from "./on-demand.ts";
import type { ResourceSource } from "./resource-source.ts";
import type { Subscription } from "./subscriptions.ts";
import type { Pending, WantedResources } from "./type-state.ts";
import { isNothing, TypeState } from "./type-state.ts";

/** How a session's responses get onto its stream; delta and state of the world differ here. */
export interface Responder {
  readonly protocol: "delta" | "sotw";
  /** False: the stream's buffer is full; the session waits for `unblock`. */
  send(response: SessionResponse): boolean;
}

export interface SessionResponse {
  readonly kind: ResourceKind;
  readonly nonce: string;
  readonly version: string;
  readonly changed: readonly EncodedResource[];
  readonly removed: readonly string[];
  /** The other names by which the client asked for one of `changed`. */
  readonly aliasesOf: (resource: string) => readonly string[];
  /** Everything of this kind that the client has when it accepts; the same objects as were sent before where nothing changed. */
  readonly all: () => Iterable<EncodedResource>;
}

/** A picture of the mesh that is to reach the proxies, in the order of pushes. */
export interface Push {
  readonly sequence: number;
  readonly version: string;
}

export interface SessionParts {
  readonly peer: ProxyPeer;
  /** The client's network address, for people. */
  readonly address: string;
  readonly responder: Responder;
  readonly source: ResourceSource;
  readonly clock: Clock;
  /** The latest push; taken at the session's start. */
  readonly push: Push;
  readonly onAck: (session: ProxySession, kind: ResourceKind, latencyMs: number) => void;
  readonly onNack: (session: ProxySession, kind: ResourceKind, nack: NackRecord) => void;
  /** The source threw, or gave what cannot be read. */
  readonly onFailure: (session: ProxySession, error: unknown) => void;
  /** Everything of the newest push that this session knows of was accepted or refused. */
  readonly onSettled: (session: ProxySession) => void;
  /** False: there is no room for a whole picture now; `advance` is called when there is. Absent: there always is. */
  readonly mayBegin?: (session: ProxySession) => boolean;
}

/** How long removals of clusters and endpoints wait after a client has come back, ms. */
export const removalHoldMs = 1000;

/** Kinds whose state-of-the-world responses hold what changed and not everything. */
const named: readonly ResourceKind[] = ["endpoints", "route-configuration", "virtual-host"];
const routing: readonly ResourceKind[] = ["listener", "route-configuration", "virtual-host"];

/**
 * One client on one stream: compares what it has with what it should have and sends the difference, so that nothing ever names
 * what is not there yet. Order of a push: clusters and endpoints; when accepted, listeners, then route configurations,
 * then virtual hosts, each when the one before was answered; when all of these were, removals of clusters and endpoints.
 */
export class ProxySession {
  readonly peer: ProxyPeer;
  readonly address: string;
  readonly protocol: "delta" | "sotw";
  /** Wall clock, ms. */
  readonly connectedAt: number;
  readonly #parts: SessionParts;
  readonly #types: { readonly [K in ResourceKind]: TypeState } = {
    cluster: new TypeState("cluster"),
    endpoints: new TypeState("endpoints"),
    listener: new TypeState("listener"),
    "route-configuration": new TypeState("route-configuration"),
    "virtual-host": new TypeState("virtual-host", (name) =>
      this.#demand === undefined ? name : this.#demand.meaningOf(name),
    ),
  };
  /** Present on clients that ask for virtual hosts by name. */
  readonly #demand: OnDemandView | undefined;
  /** All that the client may ask for, and what of it it does. */
  #offered: ResourceSet | undefined;
  #wanted: ResourceSet | undefined;
  #push: Push;
  #settledPush: Push | undefined;
  #nonce = 0;
  #isBlocked = false;
  #isClosed = false;
  /** Once true it stays so, and it is asked for at every step of every proxy. */
  #isSubscribed = false;
  #cancelHold: CancelTimer | undefined;
  #usesVhds: boolean;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#push = parts.push;
    this.peer = parts.peer;
    this.address = parts.address;
    this.protocol = parts.responder.protocol;
    this.connectedAt = parts.clock.now();
    this.#usesVhds = parts.responder.protocol === "delta" && parts.peer.client === "weft";
    if (this.#usesVhds && parts.peer.node.onDemand === true) this.#demand = new OnDemandView();
  }

  subscription(kind: ResourceKind): Subscription {
    return this.#types[kind].subscription;
  }

  delivery(kind: ResourceKind): Delivery {
    return this.#types[kind].delivery;
  }

  /** Characters of all names that the client subscribed to. */
  get subscribedLength(): number {
    return resourceKinds.reduce((sum, kind) => sum + this.subscription(kind).textLength, 0);
  }

  /** The last push whose every resource was answered. */
  get settledPush(): Push | undefined {
    return this.#settledPush;
  }

  get isSubscribed(): boolean {
    this.#isSubscribed ||= resourceKinds.some((kind) => this.subscription(kind).isStarted);
    return this.#isSubscribed;
  }

  /**
   * A reconnecting client says per type what it has. Clusters that went meanwhile are removed only when it had the time to ask
   * for its routes too, because those may still name them.
   */
  adopt(kind: ResourceKind, versions: ReadonlyMap<string, string>): void {
    if (versions.size === 0) return;
    this.delivery(kind).adopt(versions);
    this.#cancelHold ??= this.#parts.clock.after(removalHoldMs, () => {
      this.#cancelHold = undefined;
      this.advance();
    });
  }

  /**
   * To be called after a subscription was changed; `again` are names the client wants although it had them, `isFirst` a type's
   * first request on the stream.
   */
  subscriptionChanged(kind: ResourceKind, again: readonly string[] = [], isFirst = false): void {
    this.#types[kind].changed();
    if (kind === "virtual-host" && !this.#usesVhds && this.protocol === "delta") {
      this.#usesVhds = true;
      this.#offered = undefined;
    }
    const delivery = this.delivery(kind);
    const subscription = this.subscription(kind);
    for (const name of again) delivery.sent.delete(name);
    if (kind === "virtual-host") {
      this.#wanted = undefined;
      if (this.#demand) this.#repeatForNames(this.#demand, isFirst);
    }
    for (const name of [...delivery.sent.keys(), ...delivery.refused.keys()]) {
      if (!subscription.matches(name)) delivery.forget(name);
    }
  }

  /** Who asks by a new name learns from the answer what it means, also when that was sent before. */
  #repeatForNames(demand: OnDemandView, isFirst: boolean): void {
    this.#wanted = this.#fetch();
    const hosts = this.#wantedOf("virtual-host");
    for (const name of this.subscription("virtual-host").owed) {
      const meant = demand.meaningOf(name);
      if (meant === undefined || !this.delivery("virtual-host").sent.has(meant)) continue;
      const { virtualHost: host = "" } = splitVirtualHostResourceName(name);
      // A client that comes back has these and sees by itself what they answer for.
      const isSeen = isFirst && (name === meant || hosts.get(meant)?.domains?.includes(host));
      if (!isSeen) this.#types["virtual-host"].again.add(meant);
    }
  }

  /** Takes a client's answer; a stale nonce is ignored. False when it was stale. */
  answered(kind: ResourceKind, nonce: string, error: string | undefined): boolean {
    const delivery = this.delivery(kind);
    if (error === undefined) {
      if (!delivery.ack(nonce, this.#parts.clock.monotonic())) return false;
      if (delivery.reconsidered.size > 0) this.#types[kind].changed();
      this.#parts.onAck(this, kind, delivery.lastAck?.latencyMs ?? 0);
      return true;
    }
    const nack = delivery.nack(nonce, error, this.#parts.clock.now());
    if (!nack) return false;
    this.#types[kind].changed();
    this.#parts.onNack(this, kind, nack);
    return true;
  }

  /** A newer picture exists; it is fetched at the next `advance`, whatever happens until then. */
  outdated(push: Push): void {
    this.#push = push;
    this.#offered = undefined;
    this.#wanted = undefined;
  }

  /** The stream takes more again. */
  unblock(): void {
    if (!this.#isBlocked) return;
    this.#isBlocked = false;
    this.advance();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelHold?.();
  }

  /** Sends whatever may be sent now. Called after each request, push and drain; cheap when there is nothing to do. */
  advance(): void {
    if (this.#isClosed || this.#isBlocked || !this.isSubscribed) return;
    // Changes are small and must not wait for those who start; only a first, whole picture does.
    if (this.#settledPush === undefined && this.#parts.mayBegin?.(this) === false) return;
    this.#wanted ??= this.#fetch();
    if (!this.#wanted) return;
    const pending = new Map(resourceKinds.map((kind) => [kind, this.#pendingOf(kind)]));
    const isOpen = (kind: ResourceKind) =>
      this.delivery(kind).inFlight !== undefined || !isNothing(pending.get(kind)!);
    const routesAreSettled = !routing.some(isOpen);
    let mayRoute = !this.#isWarming(pending);
    for (const kind of resourceKinds) {
      const isRouting = routing.includes(kind);
      const { updates, removals, absent, owesAnswer } = pending.get(kind)!;
      const mayRemove = isRouting ? mayRoute : routesAreSettled && this.#mayShrink;
      const change = { updates, removals: mayRemove ? removals : [], absent, owesAnswer };
      const deferred = mayRemove ? [] : removals;
      const maySend = (!isRouting || mayRoute) && !this.delivery(kind).inFlight;
      if (maySend && !isNothing(change)) this.#send(kind, change, deferred);
      else if (kind === "virtual-host") this.#sendWhatIsWaitedFor(pending.get(kind)!);
      if (this.#isBlocked) return;
      if (!this.delivery(kind).inFlight) pending.set(kind, this.#pendingOf(kind));
      // Later kinds name what this one holds.
      if (isRouting && isOpen(kind)) mayRoute = false;
    }
    this.#noteSettled(resourceKinds.some(isOpen));
  }

  /** False while a client that came back may not have asked yet for what names its clusters. */
  get #mayShrink(): boolean {
    if (this.#cancelHold !== undefined) return false;
    return this.#demand === undefined || this.subscription("virtual-host").isStarted;
  }

  /**
   * Virtual hosts for which requests wait go as soon as their clusters and endpoints are on the stream, without an ACK of those:
   * Weft's proxies read one response after the other. So the wait is one round trip. What a client runs already, and what is
   * taken away, keeps to the order of all others.
   */
  #sendWhatIsWaitedFor({ updates, removals, absent }: Pending): void {
    const { acked, inFlight } = this.delivery("virtual-host");
    // Where one takes the place of another, such as what is for all hosts, the client would refuse the second of a domain.
    if (this.#demand === undefined || inFlight !== undefined || removals.length > 0) return;
    const isNew = ({ name, version }: EncodedResource) => (acked.get(name)?.version ?? version) === version;
    const ready = updates.filter(
      (host) => isNew(host) && host.clusters?.every((name) => this.#isOnItsWay(name)),
    );
    if (ready.length + absent.length === 0) return;
    this.#send("virtual-host", { updates: ready, removals: [], absent, owesAnswer: false }, []);
    this.#types["virtual-host"].changed();
  }

  /** Whether the client has a cluster and its endpoints, or will when it has read what was sent. */
  #isOnItsWay(cluster: string): boolean {
    return (["cluster", "endpoints"] as const).every((kind) => {
      const wanted = this.#wantedOf(kind).get(cluster);
      const { sent, refused } = this.delivery(kind);
      return (
        wanted === undefined || [sent.get(cluster)?.version, refused.get(cluster)].includes(wanted.version)
      );
    });
  }

  /** When the source fails, the client keeps what it has until the next push. */
  #fetch(): ResourceSet | undefined {
    try {
      this.#offered ??= this.#parts.source.resourcesFor(this.peer.node);
      if (this.#demand) return this.#demand.of(this.#offered, this.subscription("virtual-host").names);
      return this.#usesVhds ? this.#offered : withInlineRoutes(this.#offered);
    } catch (error) {
      this.#parts.onFailure(this, error);
      return undefined;
    }
  }

  /** True while the client lacks clusters, or endpoints of a cluster that is new to it. Mere changes of endpoints hold nothing up. */
  #isWarming(pending: ReadonlyMap<ResourceKind, Pending>): boolean {
    if (this.delivery("cluster").inFlight || pending.get("cluster")!.updates.length > 0) return true;
    const endpoints = this.delivery("endpoints");
    const isNew = ({ name }: EncodedResource) => !endpoints.acked.has(name);
    return (
      (endpoints.inFlight?.changed.some(isNew) ?? false) || pending.get("endpoints")!.updates.some(isNew)
    );
  }

  #wantedOf(kind: ResourceKind): WantedResources {
    return this.#wanted?.get(typeUrl[kind]) ?? noResources;
  }

  #pendingOf(kind: ResourceKind): Pending {
    return this.#types[kind].pendingFor(this.#wantedOf(kind));
  }

  /** `deferred`: removals that are to come later. */
  #send(kind: ResourceKind, change: Pending, deferred: readonly string[]): void {
    const delivery = this.delivery(kind);
    const type = this.#types[kind];
    type.began(this.#wantedOf(kind), deferred);
    for (const { name } of change.updates) type.again.delete(name);
    if (this.protocol === "sotw" && named.includes(kind) && change.updates.length === 0) {
      // State of the world has no words for "gone": the client learns it from the cluster or listener that named it.
      for (const name of change.removals) delivery.forget(name);
      return;
    }
    const nonce = String(++this.#nonce);
    const removed = [...new Set([...change.removals, ...change.absent])];
    const { version } = this.#push;
    const response = { nonce, version, changed: change.updates, removed };
    delivery.begin({ ...response, sentAt: this.#parts.clock.monotonic() });
    const all = () => delivery.sent.values();
    const aliasesOf = (name: string) => this.#aliasesOf(kind, name);
    this.#isBlocked = !this.#parts.responder.send({ ...response, kind, aliasesOf, all });
  }

  #aliasesOf(kind: ResourceKind, resource: string): readonly string[] {
    return kind === "virtual-host" ? (this.#demand?.aliasesOf(resource) ?? []) : [];
  }

  #noteSettled(isOpen: boolean): void {
    if (isOpen || this.#settledPush === this.#push) return;
    this.#settledPush = this.#push;
    this.#parts.onSettled(this);
  }
}

const noResources: WantedResources = new Map();
