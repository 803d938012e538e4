import type { CircuitBreakerPolicy } from "./circuit-breaker.ts";
import type { RateLimitRule } from "./rate-limit.ts";
import type { Source } from "./source.ts";
import type { StringMatch } from "./string-match.ts";

/**
 * HTTP routing as the matcher reads it. A route that came over the wire names clusters (`D = string`); in the control
 * plane, before clusters have names, the same shapes carry service references (`D = ServiceReference`).
 * Order means precedence everywhere: the first route that matches wins (Envoy's and Istio's rule).
 */
export interface RouteConfiguration {
  /** Istio's names: the port for sidecars ("9080"), "http.8080" for gateways, "http_proxy" for the explicit proxy port. */
  readonly name: string;
  readonly virtualHosts: readonly VirtualHost[];
  /** True when the virtual hosts arrive one by one through VHDS and `virtualHosts` is empty here. */
  readonly vhds: boolean;
}

export interface VirtualHost {
  /** Unique in its configuration: `reviews.default.svc.cluster.local:9080`. On VHDS it is the resource name's second half. */
  readonly name: string;
  /**
   * Lower case. Exact (`reviews`, `reviews:9080`), suffix wildcard (`*.example.com`), prefix wildcard (`reviews.*`) or `*`,
   * tried in that order, longest first (Envoy's VirtualHost.domains). Each is tried with the request's port, then without it.
   */
  readonly domains: readonly string[];
  readonly routes: readonly Route[];
}

export interface Route<D = string> {
  /** What `%ROUTE_NAME%` prints: the rule's `name`, with the match's name appended as Istio does, or "default". */
  readonly name: string;
  readonly source?: Source;
  readonly match: RouteMatch;
  readonly action: RouteAction<D>;
  readonly requestHeaders: HeaderOperations;
  readonly responseHeaders: HeaderOperations;
  readonly cors?: CorsPolicy;
  readonly fault?: FaultPolicy;
  /** All of them must let a request pass. */
  readonly rateLimits?: readonly RateLimitRule[];
}

export interface RouteMatch {
  readonly path: PathMatch;
  readonly method?: StringMatch;
  readonly scheme?: StringMatch;
  readonly authority?: StringMatch;
  readonly headers: readonly HeaderMatch[];
  readonly queryParams: readonly QueryParamMatch[];
  /** Of the token that was verified at the gateway; absent: none is asked for. */
  readonly claims?: readonly ClaimMatch[];
}

/** A claim whose value is a list matches when an element does. `match` absent: it is there. */
export interface ClaimMatch {
  readonly path: readonly string[];
  readonly match?: StringMatch;
  readonly invert: boolean;
}

/** `prefix` compares characters, not segments, as Istio and Envoy do. `ignoreCase` never applies to regexes. */
export type PathMatch =
  | { readonly kind: "any" }
  | { readonly kind: "exact" | "prefix"; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: "regex"; readonly value: string };

/** `match` absent: the header is present. `invert`: the whole test is negated (Istio's withoutHeaders). */
export interface HeaderMatch {
  /** Lower case. */
  readonly name: string;
  readonly match?: StringMatch;
  readonly invert: boolean;
}

/** `match` absent: the parameter is present. */
export interface QueryParamMatch {
  readonly name: string;
  readonly match?: StringMatch;
}

export type RouteAction<D = string> = ForwardAction<D> | RedirectAction | DirectResponseAction;

export interface ForwardAction<D = string> {
  readonly kind: "forward";
  /** At least one; weights are ≥ 0 integers with a sum > 0. */
  readonly destinations: readonly WeightedDestination<D>[];
  readonly rewrite?: Rewrite;
  /** Whole-request time-out in ms, retries included; absent means none (Istio's default). */
  readonly timeoutMs?: number;
  readonly retry?: RetryPolicy;
  readonly mirrors: readonly Mirror<D>[];
  /** What the request's key for clusters that balance by hash is made of, in this order; absent: it has none. */
  readonly hashPolicies?: readonly HashPolicy[];
}

/** One part of a request's hash key (Envoy's RouteAction.HashPolicy); a request that lacks it has the other parts only. */
export type HashPolicy =
  | { readonly kind: "header" /** Lower case. */; readonly name: string }
  | {
      readonly kind: "cookie";
      readonly name: string;
      /** Of a cookie that we make; absent: none. */
      readonly path?: string;
      /** A request without the cookie gets one that lives so long; 0: as long as the browser. Absent: it gets none. */
      readonly ttlMs?: number;
      /** Of a cookie that we make, such as `["SameSite", "Lax"]`; an empty value leaves the name alone. Absent: no more than the above. */
      readonly attributes?: readonly (readonly [string, string])[];
    }
  | { readonly kind: "source-ip" }
  | { readonly kind: "query-parameter"; readonly name: string };

export interface WeightedDestination<D = string> {
  readonly destination: D;
  readonly weight: number;
  readonly requestHeaders: HeaderOperations;
  readonly responseHeaders: HeaderOperations;
  readonly breaker?: CircuitBreakerPolicy<D>;
}

export interface Mirror<D = string> {
  readonly destination: D;
  /** 0..1 */
  readonly fraction: number;
  /** Appends "-shadow" to the mirrored Host. Off by default, as in current Istio. */
  readonly shadowHostSuffix: boolean;
}

export interface Rewrite {
  /** What replaces the matched path: prefix part of a prefix match, the whole path of an exact one (Istio's rewrite.uri). */
  readonly prefix?: string;
  /** RE2 pattern and substitution with \1 back references (Istio's uriRegexRewrite). */
  readonly regex?: { readonly pattern: string; readonly substitution: string };
  readonly authority?: string;
}

export interface RedirectAction {
  readonly kind: "redirect";
  /** Replaces the whole path (Istio's redirect.uri). */
  readonly path?: string;
  /** Replaces the matched prefix (Istio's redirect.prefixRewrite). */
  readonly prefix?: string;
  readonly authority?: string;
  readonly scheme?: string;
  /** Absent: the port is kept out of the Location unless the authority has one (Envoy's default). */
  readonly port?: number | "from-protocol-default" | "from-request-port";
  /** 301, 302, 303, 307 or 308. */
  readonly status: number;
}

export interface DirectResponseAction {
  readonly kind: "direct-response";
  /** 200..599 */
  readonly status: number;
  readonly body: Uint8Array;
}

/** Applied in the order remove, set, add (Envoy's HeaderParser removes first). Names keep their case. */
export interface HeaderOperations {
  readonly set: readonly HeaderPair[];
  readonly add: readonly HeaderPair[];
  /** Lower case. */
  readonly remove: readonly string[];
}

export type HeaderPair = readonly [name: string, value: string];

export const noHeaderOperations: HeaderOperations = Object.freeze({ set: [], add: [], remove: [] });

export interface RetryPolicy {
  /** Number of retries after the first attempt. 0 turns retries off. */
  readonly attempts: number;
  readonly perTryTimeoutMs?: number;
  /** ms without a byte either way after which an attempt is given up (Envoy's per_try_idle_timeout). */
  readonly perTryIdleTimeoutMs?: number;
  /** Envoy's and gRPC's words, such as "connect-failure", "refused-stream", "5xx", "unavailable". */
  readonly on: readonly string[];
  readonly statusCodes: readonly number[];
  readonly baseIntervalMs: number;
  readonly maxIntervalMs: number;
  /** True: another attempt may go to an endpoint that failed already (Istio's retryIgnorePreviousHosts: false). */
  readonly mayRepeatHost?: boolean;
  /** From the third attempt on, another priority than before, while there is one (Istio's retryRemoteLocalities). */
  readonly leavesPriority?: boolean;
}

export interface CorsPolicy {
  readonly allowOrigins: readonly StringMatch[];
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly maxAgeSeconds?: number;
  readonly allowCredentials: boolean;
  /** What happens to preflight requests whose origin is not allowed (Istio's unmatchedPreflights; default forward). */
  readonly forwardUnmatchedPreflights: boolean;
}

export interface FaultPolicy {
  readonly delay?: FaultDelay;
  readonly abort?: FaultAbort;
  readonly responseLimit?: FaultResponseLimit;
  /** Faults that one proxy may have under way for it; further requests pass unharmed (Envoy's max_active_faults). */
  readonly maxActive?: number;
}

/** `fraction`: 0..1; of a `header` kind the most that the request may ask for. `exponential`: `ms` is the mean. */
export type FaultDelay =
  | { readonly fraction: number; readonly kind: "fixed" | "exponential"; readonly ms: number }
  | { readonly fraction: number; readonly kind: "header" };

export interface FaultAbort {
  /** 0..1; with `fromHeader` the most that the request may ask for. */
  readonly fraction: number;
  /** Exactly one of the three. gRPC status by name, such as "UNAVAILABLE". */
  readonly httpStatus?: number;
  readonly grpcStatus?: string;
  /** The request's own header says how it ends (Envoy's header_abort). */
  readonly fromHeader?: true;
}

/** How fast a response's body may be sent. */
export interface FaultResponseLimit {
  /** 0..1 */
  readonly fraction: number;
  /** Absent: the request's own header says it (Envoy's header_limit). */
  readonly kibPerSecond?: number;
}
