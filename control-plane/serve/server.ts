import type { ServerDuplexStream } from "@grpc/grpc-js";
import { logVerbosity, Server, ServerCredentials, setLogVerbosity, status } from "@grpc/grpc-js";
import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { PeerIdentity } from "../../common/model/identity.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import type {
  DeltaRequest,
  DeltaResponse,
  DiscoveryRequest,
  DiscoveryResponse,
} from "../../common/xds/ads.ts";
import { aggregatedDiscoveryService } from "../../common/xds/ads.ts";
import { certificateService } from "../../common/xds/certificate-service.ts";
import { leaseService } from "../../common/xds/lease-service.ts";
import type { ProxyPeer } from "../../common/xds/node.ts";
import type { ResourceKind } from "../../common/xds/type-url.ts";
import type { NackRecord } from "./acks.ts";
import { notOwnNode, proofOf } from "./caller.ts";
import type { CallerLimits, CallerStream } from "./callers.ts";
import { Callers, defaultCallerLimits } from "./callers.ts";
import type { CertificateCallParts } from "./certificate-calls.ts";
import { answerCertificateCalls } from "./certificate-calls.ts";
import { deltaResponder, takeDeltaRequest } from "./delta.ts";
import type { LeaseStream } from "./lease-calls.ts";
import { answerLeaseCalls } from "./lease-calls.ts";
import type { LeaseLedger } from "./lease-ledger.ts";
import { Outgoing } from "./outgoing.ts";
import type { PaceLimits } from "./pace.ts";
import { PacedReader } from "./pace.ts";
import type { ProxyStatus } from "./proxy-status.ts";
import { proxyStatus } from "./proxy-status.ts";
import type { PushOutcome } from "./push-outcome.ts";
import { PushOutcomes } from "./push-outcome.ts";
import { PushQueue } from "./push-queue.ts";
import type { ResourceSource } from "./resource-source.ts";
import type { PortCertificate, SecurePort } from "./secure-port.ts";
import { openSecurePort } from "./secure-port.ts";
import type { Push, Responder } from "./session.ts";
import { ProxySession } from "./session.ts";
import { sotwResponder, takeSotwRequest } from "./sotw.ts";

export interface XdsServerParts {
  readonly source: ResourceSource;
  readonly clock: Clock;
  /** The version of the snapshot that `source` serves when the server starts. */
  readonly version: string;
  readonly events?: XdsServerEvents;
  /** Divides the limits that proxies share; absent: they go by their own parts. */
  readonly leases?: LeaseLedger;
  readonly limits?: Partial<XdsServerLimits>;
}

/** What happens on the streams, as it happens. Handlers must not throw. */
export interface XdsServerEvents {
  readonly connected?: (proxy: ProxyStatus) => void;
  readonly disconnected?: (proxy: ProxyStatus) => void;
  readonly acked?: (peer: ProxyPeer, kind: ResourceKind, latencyMs: number) => void;
  readonly nacked?: (peer: ProxyPeer, kind: ResourceKind, nack: NackRecord) => void;
  /** Somebody was not served, or is served no more. `why` holds no token. */
  readonly refused?: (address: string, why: string) => void;
  /** No resources could be made for this proxy; it keeps what it has. A fault of ours that wants a log line. */
  readonly failed?: (peer: ProxyPeer, error: unknown) => void;
  /** Every proxy has answered all of a push. */
  readonly pushed?: (outcome: PushOutcome) => void;
}

export interface XdsServerLimits {
  /** Streams at a time; more are refused with RESOURCE_EXHAUSTED. */
  readonly streams: number;
  readonly perCaller: CallerLimits;
  /** Of one stream; what comes faster is left unread meanwhile. A request with many names counts for several. */
  readonly requests: PaceLimits;
  /** Of what a proxy says of itself in its first request, as JSON. */
  readonly nodeLength: number;
  /** A connection on which nothing is called for so long is closed, ms. */
  readonly idleMs: number;
  /** Of one request. */
  readonly requestBytes: number;
  readonly keepaliveMs: number;
  /** Of all streams, unread; while there are more, proxies that just came wait for their first picture. */
  readonly unreadBytes: number;
  /** Of one stream, unread; while there are more, it gets nothing new, and what changes meanwhile is merged. */
  readonly unreadBytesPerStream: number;
  /** A stream whose reader takes nothing for so long is closed, ms. */
  readonly stallMs: number;
}

const defaultLimits: XdsServerLimits = {
  streams: 20_000,
  perCaller: defaultCallerLimits,
  requests: { burst: 1_000, perSecond: 200 },
  nodeLength: 64 * 1024,
  idleMs: 300_000,
  requestBytes: 4 * 1024 * 1024,
  keepaliveMs: 30_000,
  unreadBytes: 64 * 1024 * 1024,
  unreadBytesPerStream: 1024 * 1024,
  stallMs: 60_000,
};

interface AdsStream<Request, Response> {
  readonly call: ServerDuplexStream<Request, Response>;
  readonly respond: (write: (response: Response) => boolean) => Responder;
  readonly take: (session: ProxySession, request: Request) => string | undefined;
  readonly namesIn: (request: Request) => number;
}

/** Names that cost as much as one more request. */
const namesPerRequest = 1_000;

/** Envoy's aggregated discovery service, both protocols, on a plain and a TLS port. Long-lived; made in app.ts. */
export class XdsServer {
  readonly #parts: XdsServerParts;
  readonly #limits: XdsServerLimits;
  readonly #sessions = new Set<ProxySession>();
  /** Who the proxies on the secure port proved to be. */
  readonly #callers = new WeakMap<ProxySession, PeerIdentity>();
  readonly #queue: PushQueue<ProxySession>;
  readonly #outcomes: PushOutcomes;
  readonly #outgoing: Outgoing;
  readonly #perCaller: Callers;
  #grpc: Server | undefined;
  #secure: { readonly grpc: Server; readonly port: SecurePort } | undefined;
  #push: Push;
  #streams = 0;

  constructor(parts: XdsServerParts) {
    this.#parts = parts;
    this.#limits = { ...defaultLimits, ...parts.limits };
    this.#push = { sequence: 0, version: parts.version };
    this.#outgoing = new Outgoing(this.#limits.unreadBytes);
    this.#perCaller = new Callers(this.#limits.perCaller, parts.clock);
    this.#queue = new PushQueue(parts.clock, (session) => session.advance());
    this.#outcomes = new PushOutcomes((outcome) => parts.events?.pushed?.(outcome));
  }

  /** Resolves with the address once it accepts connections; port 0 takes a free one. Rejects when the port is taken. */
  async listen(address: SocketAddress): Promise<SocketAddress> {
    const grpc = this.#createServer(undefined);
    this.#grpc = grpc;
    const host = address.host.includes(":") ? `[${address.host}]` : address.host;
    const port = await new Promise<number>((resolve, reject) => {
      grpc.bindAsync(`${host}:${address.port}`, ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    return { host: address.host, port };
  }

  /**
   * Opens a second port, with TLS, for callers who prove who they are: they are served their own config only, and certificates.
   * Resolves with its address; rejects when the port is taken.
   */
  async listenSecurely(
    address: SocketAddress,
    certificate: PortCertificate,
    calls: CertificateCallParts,
  ): Promise<SocketAddress> {
    const grpc = this.#createServer(calls);
    const mayIssue = (caller: string, identity: PeerIdentity) => this.#perCaller.mayCertify(caller, identity);
    grpc.addService(certificateService, {
      CreateCertificate: answerCertificateCalls({ mayIssue, ...calls }),
    });
    const port = await openSecurePort(grpc, address, certificate);
    this.#secure = { grpc, port };
    return port.address;
  }

  /** The secure port shows another certificate from now on; calls under way go on. */
  renewCertificate(certificate: PortCertificate): void {
    this.#secure?.port.renew(certificate);
  }

  /** The source has a new picture, named `version`; every proxy gets its part as soon as it can take it. */
  push(version: string): void {
    this.#push = { sequence: this.#push.sequence + 1, version };
    const subscribed = [...this.#sessions].filter((session) => session.isSubscribed);
    for (const session of this.#sessions) {
      session.outdated(this.#push);
      this.#queue.add(session);
    }
    this.#outcomes.begin(this.#push, subscribed, this.#parts.clock.monotonic());
  }

  /**
   * Resolves when every proxy that was connected when `version` was pushed has accepted or refused all of it, or has
   * disconnected. Waits also for a version that is pushed later; give it a time limit of your own.
   */
  whenAcked(version: string): Promise<PushOutcome> {
    return this.#outcomes.whenDone(version);
  }

  proxies(): readonly ProxyStatus[] {
    return Array.from(this.#sessions, (session) => this.#statusOf(session));
  }

  /** Closes all streams; proxies keep what they have and reconnect elsewhere. */
  async stop(): Promise<void> {
    this.#queue.stop();
    this.#grpc?.forceShutdown();
    this.#grpc = undefined;
    this.#secure?.grpc.forceShutdown();
    this.#secure?.port.close();
    this.#secure = undefined;
    for (const session of this.#sessions) session.close();
    this.#sessions.clear();
  }

  /** `calls`: who calls must prove it. */
  #createServer(calls: CertificateCallParts | undefined): Server {
    // Our caller reports what went wrong; gRPC's own line would come on top of that.
    setLogVerbosity(logVerbosity.NONE);
    const grpc = new Server({
      "grpc.max_receive_message_length": this.#limits.requestBytes,
      "grpc.max_send_message_length": -1,
      "grpc.keepalive_time_ms": this.#limits.keepaliveMs,
      "grpc.keepalive_timeout_ms": this.#limits.keepaliveMs,
      "grpc.max_concurrent_streams": 100,
      "grpc.max_connection_idle_ms": this.#limits.idleMs,
    });
    grpc.addService(aggregatedDiscoveryService, {
      StreamAggregatedResources: (call: ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>) =>
        this.#admit(
          {
            call,
            respond: sotwResponder,
            take: takeSotwRequest,
            namesIn: ({ resourceNames }) => resourceNames.length,
          },
          calls,
        ),
      DeltaAggregatedResources: (call: ServerDuplexStream<DeltaRequest, DeltaResponse>) =>
        this.#admit(
          {
            call,
            respond: deltaResponder,
            take: takeDeltaRequest,
            namesIn: ({ subscribe, unsubscribe, initialVersions }) =>
              subscribe.length + unsubscribe.length + initialVersions.size,
          },
          calls,
        ),
    });
    const { leases, clock } = this.#parts;
    if (leases !== undefined) {
      const authenticate = calls && ((call: LeaseStream) => calls.authenticate(proofOf(call, clock.now())));
      const parts = {
        ledger: leases,
        clock,
        callers: this.#perCaller,
        ...(authenticate && { authenticate }),
      };
      grpc.addService(leaseService, { Lease: answerLeaseCalls(parts) });
    }
    return grpc;
  }

  #admit<Request extends { readonly peer?: ProxyPeer }, Response>(
    stream: AdsStream<Request, Response>,
    calls: CertificateCallParts | undefined,
  ): void {
    if (calls === undefined) {
      this.#accept(stream, undefined);
      return;
    }
    const { call } = stream;
    const refuse = (code: status, details: string) => {
      this.#parts.events?.refused?.(call.getPeer(), details);
      call.emit("error", { code, details });
    };
    calls.authenticate(proofOf(call, this.#parts.clock.now())).then(
      (caller) => {
        if (call.cancelled) return;
        if (caller !== undefined) this.#accept(stream, caller);
        else
          refuse(
            status.UNAUTHENTICATED,
            "neither a valid certificate nor a token that this control plane knows",
          );
      },
      (cause: Error) => refuse(status.UNAVAILABLE, `cannot tell who calls: ${cause.message}`),
    );
  }

  #accept<Request extends { readonly peer?: ProxyPeer }, Response>(
    stream: AdsStream<Request, Response>,
    caller: PeerIdentity | undefined,
  ): void {
    const { call, respond, take } = stream;
    const refuse = (code: status, details: string) => call.emit("error", { code, details });
    const place = this.#placeFor(call.getPeer(), caller);
    if (typeof place === "string") {
      this.#parts.events?.refused?.(call.getPeer(), place);
      refuse(status.RESOURCE_EXHAUSTED, place);
      return;
    }
    this.#streams += 1;
    const reader = new PacedReader(call, this.#limits.requests, this.#parts.clock);
    let session: ProxySession | undefined;
    let isOpen = true;
    const unread = this.#outgoing.stream();
    const hasRoom = () => unread.bytes < this.#limits.unreadBytesPerStream;
    let cancelStall: CancelTimer | undefined;
    const watchReader = () => {
      cancelStall?.();
      cancelStall = unread.isEmpty ? undefined : this.#parts.clock.after(this.#limits.stallMs, giveUp);
    };
    const taken = () => {
      if (!isOpen) return;
      unread.taken();
      watchReader();
      if (hasRoom() && !call.writableNeedDrain) session?.unblock();
    };
    const responder = metered(
      respond((response) => call.write(response, taken)),
      (bytes) => {
        const isFirst = unread.isEmpty;
        unread.began(bytes);
        if (isFirst) watchReader();
      },
      hasRoom,
    );
    const giveUp = () => {
      refuse(status.RESOURCE_EXHAUSTED, `nothing was read for ${this.#limits.stallMs} ms`);
      close();
      // The status would wait behind what is not read.
      call.destroy();
    };
    const close = () => {
      if (!isOpen) return;
      isOpen = false;
      this.#streams -= 1;
      cancelStall?.();
      reader.stop();
      place.leave();
      unread.closed();
      if (session) this.#remove(session);
    };
    call.on("data", (request: Request) => {
      if (!isOpen) return;
      const end = (code: status, why: string) => {
        this.#parts.events?.refused?.(call.getPeer(), why);
        refuse(code, why);
        close();
      };
      reader.took(1 + stream.namesIn(request) / namesPerRequest);
      const { peer } = request;
      if (!session) {
        if (!peer) return end(status.INVALID_ARGUMENT, "the first request of a stream must carry the node");
        if (lengthOf(peer) > this.#limits.nodeLength)
          return end(
            status.RESOURCE_EXHAUSTED,
            `the node has more than ${this.#limits.nodeLength} characters`,
          );
        const foreign = caller && notOwnNode(peer.node, caller);
        if (foreign !== undefined) return end(status.PERMISSION_DENIED, foreign);
        session = this.#add(peer, call.getPeer(), responder, caller);
      }
      const problem = take(session, request);
      if (problem !== undefined) return end(status.RESOURCE_EXHAUSTED, problem);
      if (!place.holds(session.subscribedLength))
        end(status.RESOURCE_EXHAUSTED, "the caller's streams hold too many names together");
    });
    call.on("drain", () => {
      if (hasRoom()) session?.unblock();
    });
    call.on("end", () => {
      call.end();
      close();
    });
    call.on("cancelled", close);
    call.on("close", close);
    call.on("error", close);
  }

  #placeFor(address: string, caller: PeerIdentity | undefined): CallerStream | string {
    if (this.#streams >= this.#limits.streams)
      return `this control plane serves at most ${this.#limits.streams} streams`;
    return this.#perCaller.enter(address, caller);
  }

  #add(
    peer: ProxyPeer,
    address: string,
    responder: Responder,
    caller: PeerIdentity | undefined,
  ): ProxySession {
    const { clock, source, events } = this.#parts;
    const session = new ProxySession({
      peer,
      address,
      responder,
      source,
      clock,
      push: this.#push,
      onAck: (of, kind, latencyMs) => events?.acked?.(of.peer, kind, latencyMs),
      onNack: (of, kind, nack) => events?.nacked?.(of.peer, kind, nack),
      onFailure: (of, error) => events?.failed?.(of.peer, error),
      onSettled: (of) => this.#outcomes.settled(of, clock.monotonic()),
      mayBegin: (of) => {
        if (this.#outgoing.hasRoom) return true;
        this.#outgoing.whenRoom(of, () => {
          if (this.#sessions.has(of)) this.#queue.add(of);
        });
        return false;
      },
    });
    this.#sessions.add(session);
    if (caller !== undefined) this.#callers.set(session, caller);
    events?.connected?.(this.#statusOf(session));
    return session;
  }

  #remove(session: ProxySession): void {
    session.close();
    this.#queue.remove(session);
    this.#outgoing.forget(session);
    if (!this.#sessions.delete(session)) return;
    this.#outcomes.disconnected(session, this.#parts.clock.monotonic());
    this.#parts.events?.disconnected?.(this.#statusOf(session));
  }

  #statusOf(session: ProxySession): ProxyStatus {
    return proxyStatus(session, this.#callers.get(session));
  }
}

/** Characters of all that a client says of itself. */
function lengthOf(peer: ProxyPeer): number {
  return JSON.stringify(peer, (_key, value: unknown) => (value instanceof Map ? [...value] : value)).length;
}

/** Tells of each response's bytes before it is sent, and asks afterwards whether more may come. */
function metered(responder: Responder, began: (bytes: number) => void, hasRoom: () => boolean): Responder {
  return {
    protocol: responder.protocol,
    send(response) {
      const sent = responder.protocol === "sotw" ? [...response.all()] : response.changed;
      began(sent.reduce((sum, { bytes }) => sum + bytes.length, 0));
      return responder.send(response) && hasRoom();
    },
  };
}
