import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { EncodedResource, ResourceSet } from "../../common/xds/encoded-resource.ts";
import type { ProxyPeer } from "../../common/xds/node.ts";
import type { ResourceKind } from "../../common/xds/type-url.ts";
import { resourceKinds, typeUrl } from "../../common/xds/type-url.ts";
import type { NackRecord } from "./acks.ts";
import { Delivery } from "./acks.ts";
import { withInlineRoutes } from "./inline-routes.ts";
import { mapChanges } from "./map-changes.ts";
import type { ResourceSource } from "./resource-source.ts";
import { Subscription } from "./subscriptions.ts";

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
  /** Everything of the newest push that this session knows of was accepted or refused. */
  readonly onSettled: (session: ProxySession) => void;
}

interface Pending {
  readonly updates: readonly EncodedResource[];
  readonly removals: readonly string[];
  /** Names to be answered with "does not exist". */
  readonly absent: readonly string[];
  readonly owesAnswer: boolean;
}

interface Comparison {
  readonly wanted: ReadonlyMap<string, EncodedResource>;
  readonly pending: Pending;
}

/** How long removals of clusters and endpoints wait after a client has come back, ms. */
export const removalHoldMs = 1000;

const nothing: Pending = { updates: [], removals: [], absent: [], owesAnswer: false };
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
  readonly #subscriptions = new Map<ResourceKind, Subscription>();
  readonly #deliveries = new Map<ResourceKind, Delivery>();
  /** What is pending per kind for the map that it was compared with; valid until something else than an ACK happens. */
  readonly #compared = new Map<ResourceKind, Comparison>();
  #wanted: ResourceSet | undefined;
  #push: Push;
  #settledPush: Push | undefined;
  #nonce = 0;
  #isBlocked = false;
  #isClosed = false;
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
    for (const kind of resourceKinds) {
      this.#subscriptions.set(kind, new Subscription(kind));
      this.#deliveries.set(kind, new Delivery());
    }
  }

  subscription(kind: ResourceKind): Subscription {
    return this.#subscriptions.get(kind)!;
  }

  delivery(kind: ResourceKind): Delivery {
    return this.#deliveries.get(kind)!;
  }

  /** The last push whose every resource was answered. */
  get settledPush(): Push | undefined {
    return this.#settledPush;
  }

  get isSubscribed(): boolean {
    return resourceKinds.some((kind) => this.subscription(kind).isStarted);
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

  /** To be called after a subscription was changed; `again` are names the client wants although it had them. */
  subscriptionChanged(kind: ResourceKind, again: readonly string[] = []): void {
    this.#compared.delete(kind);
    if (kind === "virtual-host" && !this.#usesVhds && this.protocol === "delta") {
      this.#usesVhds = true;
      this.#wanted = undefined;
    }
    const delivery = this.delivery(kind);
    const subscription = this.subscription(kind);
    for (const name of again) delivery.sent.delete(name);
    for (const name of [...delivery.sent.keys(), ...delivery.refused.keys()]) {
      if (!subscription.matches(name)) delivery.forget(name);
    }
  }

  /** Takes a client's answer; a stale nonce is ignored. False when it was stale. */
  answered(kind: ResourceKind, nonce: string, error: string | undefined): boolean {
    const delivery = this.delivery(kind);
    if (error === undefined) {
      if (!delivery.ack(nonce, this.#parts.clock.monotonic())) return false;
      this.#parts.onAck(this, kind, delivery.lastAck?.latencyMs ?? 0);
      return true;
    }
    const nack = delivery.nack(nonce, error, this.#parts.clock.now());
    if (!nack) return false;
    this.#compared.delete(kind);
    this.#parts.onNack(this, kind, nack);
    return true;
  }

  /** A newer picture exists; it is fetched at the next `advance`, whatever happens until then. */
  outdated(push: Push): void {
    this.#push = push;
    this.#wanted = undefined;
  }

  /** The stream takes more again. */
  unblock(): void {
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
    this.#wanted ??= this.#fetch();
    const pending = new Map(resourceKinds.map((kind) => [kind, this.#pendingOf(kind)]));
    const isOpen = (kind: ResourceKind) =>
      this.delivery(kind).inFlight !== undefined || !isNothing(pending.get(kind)!);
    const routesAreSettled = !routing.some(isOpen);
    let mayRoute = !this.#isWarming(pending);
    for (const kind of resourceKinds) {
      const isRouting = routing.includes(kind);
      const { updates, removals, absent, owesAnswer } = pending.get(kind)!;
      const mayRemove = isRouting ? mayRoute : routesAreSettled && !this.#cancelHold;
      const change = { updates, removals: mayRemove ? removals : [], absent, owesAnswer };
      const deferred = mayRemove ? [] : removals;
      if ((!isRouting || mayRoute) && !isNothing(change) && !this.delivery(kind).inFlight)
        this.#send(kind, change, deferred);
      if (this.#isBlocked) return;
      if (!this.delivery(kind).inFlight) pending.set(kind, this.#pendingOf(kind));
      // Later kinds name what this one holds.
      if (isRouting && isOpen(kind)) mayRoute = false;
    }
    this.#noteSettled(resourceKinds.some(isOpen));
  }

  #fetch(): ResourceSet {
    const resources = this.#parts.source.resourcesFor(this.peer.node);
    return this.#usesVhds ? resources : withInlineRoutes(resources);
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

  #pendingOf(kind: ResourceKind): Pending {
    const subscription = this.subscription(kind);
    if (!subscription.isStarted) return nothing;
    const wanted = this.#wanted?.get(typeUrl[kind]) ?? noResources;
    const compared = this.#compared.get(kind);
    if (compared?.wanted === wanted) return compared.pending;
    const pending =
      compared?.pending === nothing
        ? this.#changesSince(compared.wanted, wanted, kind)
        : this.#compare(wanted, kind);
    this.#compared.set(kind, { wanted, pending });
    return pending;
  }

  /** The client is in step with `before`, so only what changed since then can be pending. */
  #changesSince(
    before: ReadonlyMap<string, EncodedResource>,
    wanted: ReadonlyMap<string, EncodedResource>,
    kind: ResourceKind,
  ): Pending {
    const subscription = this.subscription(kind);
    const { sent } = this.delivery(kind);
    const { changed, removed } = mapChanges(before, wanted);
    const updates = changed.filter(
      (resource) => subscription.matches(resource.name) && this.#lacks(resource, kind),
    );
    const removals = removed.filter((name) => sent.has(name));
    return updates.length + removals.length === 0
      ? nothing
      : { updates, removals, absent: [], owesAnswer: false };
  }

  #compare(wanted: ReadonlyMap<string, EncodedResource>, kind: ResourceKind): Pending {
    const subscription = this.subscription(kind);
    const { sent } = this.delivery(kind);
    const updates = [...candidates(subscription, wanted)].filter((resource) => this.#lacks(resource, kind));
    const removals = [...sent.keys()].filter((name) => !wanted.has(name));
    // What the client has and asks for goes as a removal, in its turn; "does not exist" is for what it never had.
    const isAbsent = (name: string) =>
      !wanted.has(name) && !sent.has(name) && !subscription.isNamespace(name);
    const absent = [...subscription.owed].filter(isAbsent);
    const owesAnswer = subscription.owesFirstAnswer || subscription.owed.size > 0;
    const pending = { updates, removals, absent, owesAnswer };
    return isNothing(pending) ? nothing : pending;
  }

  #lacks({ name, version }: EncodedResource, kind: ResourceKind): boolean {
    const { sent, refused } = this.delivery(kind);
    return sent.get(name)?.version !== version && refused.get(name) !== version;
  }

  /** `deferred`: removals that are to come later. */
  #send(kind: ResourceKind, change: Pending, deferred: readonly string[]): void {
    const delivery = this.delivery(kind);
    const subscription = this.subscription(kind);
    subscription.owed.clear();
    subscription.owesFirstAnswer = false;
    const pending = deferred.length === 0 ? nothing : { ...nothing, removals: deferred };
    this.#compared.set(kind, { wanted: this.#wanted?.get(typeUrl[kind]) ?? noResources, pending });
    if (this.protocol === "sotw" && named.includes(kind) && change.updates.length === 0) {
      // State of the world has no words for "gone": the client learns it from the cluster or listener that named it.
      for (const name of change.removals) delivery.forget(name);
      return;
    }
    const nonce = String(++this.#nonce);
    const removed = [...new Set([...change.removals, ...change.absent])];
    const { version } = this.#push;
    delivery.begin({
      nonce,
      version,
      changed: change.updates,
      removed,
      sentAt: this.#parts.clock.monotonic(),
    });
    const all = () => delivery.sent.values();
    this.#isBlocked = !this.#parts.responder.send({
      kind,
      nonce,
      version,
      changed: change.updates,
      removed,
      all,
    });
  }

  #noteSettled(isOpen: boolean): void {
    if (isOpen || this.#settledPush === this.#push || this.#isAwaitingAnswer()) return;
    this.#settledPush = this.#push;
    this.#parts.onSettled(this);
  }

  #isAwaitingAnswer(): boolean {
    return resourceKinds.some((kind) => this.delivery(kind).inFlight !== undefined);
  }
}

const noResources: ReadonlyMap<string, EncodedResource> = new Map();

function isNothing(pending: Pending): boolean {
  return (
    !pending.owesAnswer && pending.updates.length + pending.removals.length + pending.absent.length === 0
  );
}

/** The wanted resources that a subscription takes; few names are looked up, many resources are gone through. */
function* candidates(
  subscription: Subscription,
  wanted: ReadonlyMap<string, EncodedResource>,
): Iterable<EncodedResource> {
  if (subscription.isWildcard) yield* wanted.values();
  else if (subscription.kind === "virtual-host") {
    for (const resource of wanted.values()) if (subscription.matches(resource.name)) yield resource;
  } else {
    for (const name of subscription.names) {
      const resource = wanted.get(name);
      if (resource) yield resource;
    }
  }
}
