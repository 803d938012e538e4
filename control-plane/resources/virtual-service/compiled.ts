import type { Labels } from "../../../common/model/endpoint.ts";
import type { Route, RouteMatch } from "../../../common/model/route.ts";
import type { ServiceReference } from "../../../common/model/service.ts";
import type { Source } from "../../../common/model/source.ts";

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
}

/** One entry of `tls`: connections for these server names go to these services. */
export interface CompiledTlsRule {
  readonly source: Source;
  readonly matches: readonly {
    /** Exact, `*.suffix` or `*`; lower case. */
    readonly serverNames: readonly string[];
    readonly scope: Pick<RuleScope, "gateways" | "port">;
  }[];
  readonly destinations: readonly { readonly destination: ServiceReference; readonly weight: number }[];
}

/** One entry of `http`. Without matches it has one that matches everything. */
export interface CompiledHttpRule {
  readonly name: string;
  /** At the rule's own line. */
  readonly source: Source;
  readonly matches: readonly CompiledHttpMatch[];
  /** Everything of a route but its name and match; absent on a rule that delegates. */
  readonly route?: Omit<Route<ServiceReference>, "name" | "match" | "source">;
  /** Istio's delegate: the rule is replaced by the http rules of that VirtualService. */
  readonly delegate?: { readonly namespace: string; readonly name: string };
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
