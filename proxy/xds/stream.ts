import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { Random } from "../../common/base/random.ts";
import type { ProxyNode, SocketAddress } from "../../common/model/node.ts";
import type { DeltaResponse } from "../../common/xds/ads.ts";
import { weftControlPlane } from "../../common/xds/ads.ts";
import { resourceKind, resourceKinds, typeUrl } from "../../common/xds/type-url.ts";
import { applyTo, judgeResponse, nackMessage } from "./acks.ts";
import type { AdsCall, OpenAdsCall } from "./ads-call.ts";
import { openGrpcCall } from "./ads-call.ts";
import type { LeaseClient } from "./lease-client.ts";
import type { Rejection, ResourceSink, ResourceType, ResourceUpdate } from "./resource-update.ts";
import type { SubscriptionChange } from "./subscriptions.ts";
import { Subscriptions, wildcardTypes } from "./subscriptions.ts";

export interface XdsClientParts {
  /** Control planes, tried in turn. At least one. */
  readonly servers: readonly SocketAddress[];
  readonly node: ProxyNode;
  /** This proxy's own version, for the control plane's status page. */
  readonly version: string;
  readonly sink: ResourceSink;
  readonly clock: Clock;
  readonly random: Random;
  /** What the sink already holds, restored from disk; the control plane is told and sends only what differs. */
  readonly known?: readonly ResourceUpdate[];
  readonly events?: XdsClientEvents;
  /** Gets a stream on each connection, for limits that proxies share. */
  readonly leases?: Pick<LeaseClient, "attach" | "detach">;
  /** For tests; default: gRPC. */
  readonly open?: OpenAdsCall;
}

export interface XdsClientEvents {
  /** The control plane has answered on a new stream. */
  readonly connected?: (server: SocketAddress) => void;
  /** The stream ended or could not be opened; the next attempt is in `retryMs`. */
  readonly disconnected?: (server: SocketAddress, reason: string, retryMs: number) => void;
  /**
   * Everything that was asked for on this stream has been answered and applied, down to the last type that follows from another.
   * Comes once per stream; a proxy that serves before it may lack routes.
   */
  readonly inStep?: (server: SocketAddress) => void;
  readonly acked?: (type: ResourceType, systemVersion: string) => void;
  readonly nacked?: (type: ResourceType, systemVersion: string, rejections: readonly Rejection[]) => void;
  /** Virtual hosts came or went and are in use, or refused. */
  readonly hosts?: (change: HostsChange) => void;
}

export interface HostsChange {
  /** Resource name → the other names by which it was asked for. */
  readonly updated: ReadonlyMap<string, readonly string[]>;
  /** Resources that are gone, and names that nothing answers to. */
  readonly removed: readonly string[];
}

/** A control plane that restarts is back within a second; so long, proxies come back soon after it. */
const quickRetries = 4;
const quickRetryMs = 250;
const maxRetryMs = 10_000;

/**
 * The proxy's side of delta ADS: keeps a stream to a control plane for as long as the proxy lives, applies what comes and answers
 * it. Responses are handled one after the other. Names that follow from a response are subscribed before it is
 * ACKed, so the control plane can tell when a change has arrived completely.
 */
export class XdsClient {
  readonly #parts: XdsClientParts;
  readonly #subscriptions = new Subscriptions();
  readonly #systemVersions = new Map<ResourceType, string>();
  #call: AdsCall | undefined;
  #isConnected = false;
  #isStopped = true;
  #attempt = 0;
  #server = 0;
  #cancelRetry: CancelTimer | undefined;
  #work: Promise<void> = Promise.resolve();
  #saidNode = false;
  /** Types that were asked for on this stream and not answered yet; undefined when all were, once. */
  #unanswered: Set<ResourceType> | undefined = new Set();

  constructor(parts: XdsClientParts) {
    this.#parts = parts;
    this.#subscriptions.setOnDemand(parts.node.onDemand === true);
    for (const update of parts.known ?? []) this.#subscriptions.accept(update, new Set());
  }

  /** True from the first answer on a stream until its end. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /**
   * True when virtual hosts must be asked for by name: the node says that it does so, and the control plane, or the one before
   * it, has not shown that it knows nothing of that.
   */
  get isOnDemand(): boolean {
    return this.#subscriptions.isOnDemand;
  }

  /** Asks for virtual hosts by VHDS name, now and on each later stream; what comes of it shows in the events. */
  subscribe(names: readonly string[]): void {
    this.#subscriptions.demand(names, true);
    if (this.#call !== undefined) this.#send(this.#call, "virtual-host", { subscribe: names });
  }

  /** The control plane takes away what no other name means. */
  unsubscribe(names: readonly string[]): void {
    this.#subscriptions.demand(names, false);
    if (this.#call !== undefined) this.#send(this.#call, "virtual-host", { unsubscribe: names });
  }

  /** The control plane's version of the last response accepted per type. */
  get systemVersions(): ReadonlyMap<ResourceType, string> {
    return this.#systemVersions;
  }

  /** Returns at once; what comes of it shows in the events. */
  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#connect();
  }

  /** Resolves when no update is being applied any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#parts.leases?.detach();
    this.#cancelRetry?.();
    this.#call?.close();
    this.#call = undefined;
    this.#isConnected = false;
    await this.#work;
  }

  #connect(): void {
    const server = this.#parts.servers[this.#server % this.#parts.servers.length]!;
    this.#saidNode = false;
    this.#unanswered = new Set();
    this.#subscriptions.setOnDemand(this.#parts.node.onDemand === true);
    let isOver = false;
    const call = (this.#parts.open ?? openGrpcCall)(server, {
      onResponse: (response) => {
        this.#noteAnswer(server);
        this.#work = this.#work.then(async () => {
          if (isOver) return;
          await this.#take(call, response);
          if (!isOver) this.#noteInStep(server, response);
        });
      },
      onEnd: (reason) => {
        isOver = true;
        if (this.#call === call || this.#call === undefined) this.#retry(server, reason);
      },
    });
    if (isOver) return;
    this.#call = call;
    for (const type of resourceKinds) this.#subscribeAnew(call, type);
  }

  #noteAnswer(server: SocketAddress): void {
    this.#attempt = 0;
    if (this.#isConnected) return;
    this.#isConnected = true;
    const openLeases = this.#call?.openLeases;
    if (openLeases !== undefined) this.#parts.leases?.attach(openLeases);
    this.#parts.events?.connected?.(server);
  }

  #noteInStep(server: SocketAddress, response: DeltaResponse): void {
    const type = resourceKind(response.typeUrl);
    if (!this.#unanswered || !type) return;
    this.#unanswered.delete(type);
    if (this.#unanswered.size > 0) return;
    this.#unanswered = undefined;
    this.#parts.events?.inStep?.(server);
  }

  /** Half of the delay is fixed and half is chance, so that proxies that lost one control plane do not return in step. */
  #retry(server: SocketAddress, reason: string): void {
    this.#call = undefined;
    this.#isConnected = false;
    this.#parts.leases?.detach();
    if (this.#isStopped) return;
    const limit = Math.min(maxRetryMs, quickRetryMs * 2 ** Math.max(0, this.#attempt + 1 - quickRetries));
    const retryMs = limit / 2 + (limit / 2) * this.#parts.random();
    this.#attempt = Math.min(this.#attempt + 1, 16);
    this.#server += 1;
    this.#cancelRetry = this.#parts.clock.after(retryMs, () => this.#connect());
    this.#parts.events?.disconnected?.(server, reason, retryMs);
  }

  #subscribeAnew(call: AdsCall, type: ResourceType): void {
    const names = [...this.#subscriptions.names(type)];
    if (names.length === 0 && !wildcardTypes.includes(type)) return;
    this.#send(call, type, { subscribe: names, initialVersions: this.#subscriptions.versions(type) });
  }

  #send(call: AdsCall, type: ResourceType, request: Partial<Parameters<AdsCall["send"]>[0]>): void {
    const { node, version } = this.#parts;
    const introduction = this.#saidNode ? {} : { node: { proxy: node, version } };
    this.#saidNode = true;
    if (request.responseNonce === undefined) this.#unanswered?.add(type);
    call.send({
      typeUrl: typeUrl[type],
      subscribe: [],
      unsubscribe: [],
      initialVersions: new Map(),
      responseNonce: "",
      ...request,
      ...introduction,
    });
  }

  async #take(call: AdsCall, response: DeltaResponse): Promise<void> {
    const type = resourceKind(response.typeUrl);
    if (!type) return;
    // Others send everything, and endpoints only to those who name their clusters.
    const takesAll = response.controlPlane !== weftControlPlane;
    for (const change of takesAll ? this.#subscriptions.setOnDemand(false) : [])
      await this.#resubscribe(call, change);
    const verdict = await judgeResponse(type, response, this.#subscriptions, this.#parts.sink);
    const refused = new Set(verdict.rejections.map(({ name }) => name));
    for (const change of this.#subscriptions.accept(verdict.update, refused))
      await this.#resubscribe(call, change);
    if (type === "virtual-host") this.#tellOfHosts(response);
    const { nonce, systemVersion } = response;
    if (refused.size === 0) {
      this.#systemVersions.set(type, systemVersion);
      this.#send(call, type, { responseNonce: nonce });
      this.#parts.events?.acked?.(type, systemVersion);
    } else {
      this.#send(call, type, { responseNonce: nonce, error: nackMessage(verdict.rejections) });
      this.#parts.events?.nacked?.(type, systemVersion, verdict.rejections);
    }
  }

  #tellOfHosts({ resources, removed }: DeltaResponse): void {
    const updated = new Map(resources.map(({ name, aliases = [] }) => [name, aliases]));
    this.#parts.events?.hosts?.({ updated, removed });
  }

  async #resubscribe(call: AdsCall, change: SubscriptionChange): Promise<void> {
    const { type, subscribe, unsubscribe, dropped } = change;
    this.#send(call, type, { subscribe, unsubscribe });
    await applyTo(this.#parts.sink, { type, updated: new Map(), removed: dropped } as ResourceUpdate);
  }
}
