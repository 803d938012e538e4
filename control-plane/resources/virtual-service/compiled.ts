import type { Labels } from "../../../common/model/endpoint.ts";
import type { Route, RouteMatch } from "../../../common/model/route.ts";
import type { ServiceReference } from "../../../common/model/service.ts";
import type { Source } from "../../../common/model/source.ts";
import type { Inherited } from "./inherited.ts";

/** A VirtualService with all names resolved against its namespace; not yet joined with services, gateways or delegates. */
export interface CompiledVirtualService {
  readonly kind: "VirtualService";
  /** Fully qualified and lower case; short names got their namespace. Empty on a delegate. */
  readonly hosts: readonly string[];
  /** "mesh" or `namespace/name`. */
  readonly gateways: readonly string[];
  readonly exportTo: readonly string[];
  readonly http: readonly CompiledHttpRule[];
  /** Absent when there is none. */
  readonly tls?: readonly CompiledTlsRule[];
  /** Absent when there is none. */
  readonly tcp?: readonly CompiledTcpRule[];
}

/** What a connection must be for a `tcp` or `tls` rule, besides its server name. */
export interface ConnectionMatch {
  /** Addresses or CIDRs that it was meant for. */
  readonly destinationCidrs?: readonly string[];
  readonly scope: RuleScope;
}

/** One entry of `tcp` or `tls`: connections of any of the matches go to these services. */
export interface CompiledConnectionRule {
  readonly source: Source;
  /** At least one. */
  readonly matches: readonly ConnectionMatch[];
  readonly destinations: readonly { readonly destination: ServiceReference; readonly weight: number }[];
}

export interface CompiledTlsRule extends CompiledConnectionRule {
  readonly matches: readonly (ConnectionMatch & {
    /** Exact, `*.suffix` or `*`; lower case. */
    readonly serverNames: readonly string[];
  })[];
}

export interface CompiledTcpRule extends CompiledConnectionRule {
  readonly matches: readonly (ConnectionMatch & {
    /** Addresses or CIDRs that it comes from. */
    readonly sourceCidrs?: readonly string[];
  })[];
}

/** Everything of a route but its name and match. */
export type CompiledRoute = Omit<Route<ServiceReference>, "name" | "match" | "source">;

/** One entry of `http`. Without matches it has one that matches everything. */
export interface CompiledHttpRule {
  readonly name: string;
  /** At the rule's own line. */
  readonly source: Source;
  readonly matches: readonly CompiledHttpMatch[];
  /** Everything of a route but its name and match; absent on a rule that delegates. */
  readonly route?: CompiledRoute;
  /** Istio's delegate: the rule is replaced by the http rules of that VirtualService. */
  readonly delegate?: { readonly namespace: string; readonly name: string };
  /** What a rule that delegates says for the delegate's rules. */
  readonly inherited?: Inherited;
}

export interface CompiledHttpMatch {
  readonly name: string;
  readonly match: RouteMatch;
  /** Decided in translate, because they depend on the asking proxy and not on the request. */
  readonly scope: RuleScope;
  readonly source: Source;
}

export interface RuleScope {
  readonly sourceLabels?: Labels;
  readonly sourceNamespace?: string;
  /** Narrows the VirtualService's gateways; "mesh" or `namespace/name`. */
  readonly gateways?: readonly string[];
  readonly port?: number;
}
