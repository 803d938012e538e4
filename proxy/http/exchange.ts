import type { Hash64 } from "../../common/base/xxhash64.ts";
import type { TokenClaims } from "../../common/model/authentication.ts";
import type { Workload } from "../../common/model/endpoint.ts";
import type { PeerIdentity } from "../../common/model/identity.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import type { Route } from "../../common/model/route.ts";
import type { ErrorCode, MeshError } from "../errors.ts";
import type { ClientCertificate } from "../net/client-certificate.ts";
import type { Body } from "./body.ts";
import type { HeaderList } from "./header-list.ts";

/** Where a request came in. One per downstream connection, shared by its exchanges. */
export interface DownstreamConnection {
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly listener: string;
  /** "http" or "https", as the client spoke to us. */
  readonly scheme: "http" | "https";
  /** The TLS server name that the client asked for; absent without one. */
  readonly serverName?: string;
  /** What both sides agreed on, in OpenSSL's words: `TLSv1.3`, `TLS_AES_128_GCM_SHA256`; absent without TLS. */
  readonly tls?: { readonly version: string; readonly cipher: string };
  /** Who the client proved to be by mutual TLS; absent without it, and for certificates that hold no SPIFFE ID. */
  readonly peer?: PeerIdentity;
  /** The client's certificate that was verified; absent without one. */
  readonly clientCertificate?: ClientCertificate;
  /** Who we proved to be to the client; absent outside of the mesh's own TLS. */
  readonly ownSpiffeId?: string;
  /** Where a redirected connection was meant to go, or the one that a balancer tells of. */
  readonly destination?: SocketAddress;
  /** The packet filter redirected it, so that `destination` is where it would be without this proxy. */
  readonly isRedirected?: true;
}

/**
 * One request and what becomes of it, on its way through a stack. Neutral of protocol: HTTP/1.1 and HTTP/2 codecs make and
 * consume the same object. Hop-by-hop fields (RFC 9110 7.6.1) never appear in `headers`; Content-Length does, because it
 * belongs to the message; Host does not: it is `authority`.
 */
export class Exchange {
  readonly downstream: DownstreamConnection;
  readonly protocol: "HTTP/1.1" | "HTTP/2";
  /** Monotonic ms when the first byte of the request was read. */
  readonly startedAt: number;

  // --- the request; filters may change it before it is sent ---
  readonly method: string;
  scheme: "http" | "https";
  /** Host[:port] as sent; for an absolute-form target that of the target (RFC 9112 3.2.2). */
  authority: string;
  /** Origin-form target: path and query, no fragment. "*" for OPTIONS *; authority for CONNECT. */
  path: string;
  readonly headers: HeaderList;
  /**
   * What is sent upstream. Filters may put another in its place (a tee for a mirror, a fresh copy for a retry), so the codec that
   * produces the request body keeps its own reference.
   */
  body: Body;
  /** The requested protocol, lower case, when the client asks for an upgrade ("websocket"); then `body` is the raw tunnel. */
  readonly upgrade: string | undefined;
  /** The client sent `Expect: 100-continue`. */
  readonly expectsContinue: boolean;

  /** What consistent hashing goes by, when the route has a hash policy and the request what it asks for. */
  hashKey: Hash64 | undefined = undefined;

  // --- what became of it; written on the way, read by access log and metrics ---
  route: Route | undefined = undefined;
  cluster: string = "";
  upstream: UpstreamHost | undefined = undefined;
  /** Inbound: the workload that sent it, in its own words. For metrics and logs only, never for authorization. */
  peer: Workload | undefined = undefined;
  /** The client's own address, where trusted proxies before us say it; undefined: that of the connection. */
  clientAddress: string | undefined = undefined;
  /** The payload of the token that was verified. */
  claims: TokenClaims | undefined = undefined;
  /** Who refused the request and why, in words for the one who runs the mesh, never for the client. */
  denial: string | undefined = undefined;
  /** Where earlier attempts went, when the next is to go somewhere else. */
  previousHosts: UpstreamHost[] | undefined = undefined;
  /** Whether the next attempt is to leave the priorities where those went, too. */
  leavesPriority = false;
  /** Upstream attempts so far. */
  attempts: number = 0;
  /** Monotonic ms; 0 when it did not happen. */
  requestCompleteAt: number = 0;
  responseStartedAt: number = 0;
  finishedAt: number = 0;
  /** Status sent downstream; 0 when none was. */
  status: number = 0;
  /** Envoy response flags in the order set, such as "UF,URX"; "" is printed as "-". */
  flags: string = "";
  /** RESPONSE_CODE_DETAILS: "via_upstream" or the error's detail. */
  detail: string = "";
  /** What ended the request early, when something did; for metrics. */
  errorCode: ErrorCode | undefined = undefined;
  /** Body bytes read from and written to the downstream. */
  bytesReceived: number = 0;
  bytesSent: number = 0;
  responseHeaders: HeaderList | undefined = undefined;
  /** gRPC status of the response (header or trailer), when there was one. */
  grpcStatus: string | undefined = undefined;
  /** Original path before a rewrite; undefined when it was not rewritten. */
  originalPath: string | undefined = undefined;

  #cancelCause: MeshError | undefined = undefined;
  #canceller: ((cause: MeshError) => void) | undefined = undefined;
  #onInformational: ((status: number, headers: HeaderList) => void) | undefined = undefined;
  #finishListeners: ((exchange: Exchange) => void)[] | undefined = undefined;

  constructor(init: ExchangeInit) {
    this.downstream = init.downstream;
    this.protocol = init.protocol;
    this.startedAt = init.startedAt;
    this.method = init.method;
    this.scheme = init.scheme;
    this.authority = init.authority;
    this.path = init.path;
    this.headers = init.headers;
    this.body = init.body;
    this.upgrade = init.upgrade;
    this.expectsContinue = init.expectsContinue;
  }

  /** Set when the request has been given up, by the client going away or by a time-out. */
  get cancelCause(): MeshError | undefined {
    return this.#cancelCause;
  }

  /**
   * Gives the request up: whatever it waits for (a delay, a connection, a response) ends at once with `cause`, and a response
   * already under way is reset. Called by the codec when the client goes away and by the time-out filter. Later calls do nothing.
   */
  cancel(cause: MeshError): void {
    if (this.#cancelCause !== undefined || this.finishedAt !== 0) return;
    this.#cancelCause = cause;
    this.#canceller?.(cause);
  }

  /**
   * Says how to stop what the request waits for now; `undefined` when it waits for nothing. A request waits for one thing at a
   * time. When it was cancelled already, `stop` is called at once.
   */
  whenCancelled(stop: ((cause: MeshError) => void) | undefined): void {
    this.#canceller = stop;
    if (this.#cancelCause !== undefined) stop?.(this.#cancelCause);
  }

  /**
   * Stops what the request waits for now, without giving the request up: for the per-try time-out. False when it waited for
   * nothing.
   */
  interrupt(cause: MeshError): boolean {
    const stop = this.#canceller;
    this.#canceller = undefined;
    stop?.(cause);
    return stop !== undefined;
  }

  /** All values of a request header joined with ",", as the matcher reads them. `lowerName` is lower case. */
  header(lowerName: string): string | undefined {
    return this.headers.joined(lowerName);
  }

  /** The codec's: how to send an interim (1xx) response on. */
  set onInformational(send: ((status: number, headers: HeaderList) => void) | undefined) {
    this.#onInformational = send;
  }

  /** Sends a 1xx response downstream, before the final one. */
  inform(status: number, headers: HeaderList): void {
    this.#onInformational?.(status, headers);
  }

  /** `listener` runs once, when the response is sent completely or the exchange was given up. */
  onFinish(listener: (exchange: Exchange) => void): void {
    if (this.#finishListeners === undefined) this.#finishListeners = [listener];
    else this.#finishListeners.push(listener);
  }

  /** The codec's: the response went out (or will never). `at` is monotonic ms. */
  finish(at: number): void {
    if (this.finishedAt !== 0) return;
    this.finishedAt = at;
    this.#canceller = undefined;
    const listeners = this.#finishListeners;
    if (listeners !== undefined) for (const listener of listeners) listener(this);
  }

  /** A flag that is set already stays as it is; "" adds nothing. */
  addFlag(flag: string): void {
    if (flag === "") return;
    if (this.flags === "") this.flags = flag;
    else if (!this.flags.split(",").includes(flag)) this.flags = `${this.flags},${flag}`;
  }
}

export interface ExchangeInit {
  readonly downstream: DownstreamConnection;
  readonly protocol: "HTTP/1.1" | "HTTP/2";
  readonly startedAt: number;
  readonly method: string;
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly path: string;
  readonly headers: HeaderList;
  readonly body: Body;
  readonly upgrade: string | undefined;
  readonly expectsContinue: boolean;
}

/** The endpoint that an attempt went to, for logs and metric labels. */
export interface UpstreamHost {
  /** `ip:port` */
  readonly address: string;
  readonly workload: Workload | undefined;
  /** Who the endpoint is, where that is verified: `spiffe://cluster.local/ns/shop/sa/review`. */
  readonly spiffeId?: string;
}

/** The answer on its way back. Status 101 on an upgrade: `body` is the tunnel's raw bytes towards the client. */
export interface Response {
  readonly status: number;
  /** As the upstream wrote it; "" picks the standard phrase. */
  readonly reason: string;
  readonly headers: HeaderList;
  readonly body: Body;
}
