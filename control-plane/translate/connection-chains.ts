import type { ChainMatch, TcpFilterChain, TcpProxy } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { ServiceReference } from "../../common/model/service.ts";
import { destinationRuleFor } from "../snapshot/destination-rules.ts";
import type { CompiledConnectionRule, MeshVirtualService, Snapshot } from "../snapshot/snapshot.ts";
import { policyFor } from "./clusters.ts";
import type { FindService } from "./routes.ts";
import { portOf, referenceName } from "./routes.ts";
import type { Place } from "./rule-scope.ts";
import { scopeFailure } from "./rule-scope.ts";

/** Who asks for chains, and what it sees. */
export interface ChainContext {
  readonly snapshot: Snapshot;
  readonly node: ProxyNode;
  readonly place: Place & { readonly port: number };
  readonly find: FindService;
}

/** A match of a `tcp` or `tls` rule that holds at a place. */
export interface HoldingMatch<M> {
  readonly match: M;
  readonly rule: CompiledConnectionRule;
  /** `namespace.name` of the VirtualService. */
  readonly owner: string;
}

/** The matches of the VirtualServices' `tcp` or `tls` rules that hold at a place, in the order in which they decide. */
export function holdingMatches<K extends "tcp" | "tls">(
  virtuals: readonly MeshVirtualService[],
  field: K,
  place: Place,
): HoldingMatch<NonNullable<MeshVirtualService[K]>[number]["matches"][number]>[] {
  return virtuals.flatMap((virtual) =>
    (virtual[field] ?? []).flatMap((rule) =>
      rule.matches
        .filter(({ scope }) => scopeFailure(scope, place) === undefined)
        .map((match) => ({ match, rule, owner: `${virtual.key.namespace}.${virtual.key.name}` })),
    ),
  );
}

/** A chain that passes connections to a rule's destinations; its name is made from what it asks for, never from a position. */
export function ruleChain(
  prefix: string,
  { rule, owner }: Pick<HoldingMatch<unknown>, "rule" | "owner">,
  match: ChainMatch,
  context: ChainContext,
): TcpFilterChain {
  const name = [prefix, owner, ...describe(match)].join(".");
  const destinations = rule.destinations.map(({ destination, weight }) => ({
    cluster: referenceName(destination, context.place.port, context.find),
    weight,
  }));
  const [first] = rule.destinations;
  const policy = first && connectionPolicy(first.destination, context);
  return {
    name,
    ...match,
    source: rule.source,
    tcp: { statPrefix: name, destinations, ...policy },
  };
}

/** Connections of a service that no rule speaks of. */
export function serviceTcp(name: string, reference: ServiceReference, context: ChainContext): TcpProxy {
  const cluster = referenceName(reference, context.place.port, context.find);
  return {
    statPrefix: name,
    destinations: [{ cluster, weight: 1 }],
    ...connectionPolicy(reference, context),
  };
}

/** Of two chains that ask for the same, the first counts: Envoy refuses a listener that has both. */
export class ChainMatches {
  readonly #taken = new Set<string>();

  take(match: ChainMatch): boolean {
    const key = describe(match).join(".");
    if (this.#taken.has(key)) return false;
    this.#taken.add(key);
    return true;
  }
}

function describe(match: ChainMatch): string[] {
  const { destinationPort, destinationCidrs = [], serverNames = [], transport, sourceCidrs = [] } = match;
  return [
    ...(destinationPort === undefined ? [] : [String(destinationPort)]),
    ...(destinationCidrs.length > 0 ? [destinationCidrs.join(",")] : []),
    ...(serverNames.length > 0 ? [serverNames.join(",")] : []),
    ...(transport === undefined ? [] : [transport]),
    ...(sourceCidrs.length > 0 ? [`from ${sourceCidrs.join(",")}`] : []),
  ];
}

/** What a DestinationRule says of connections: the idle time and the hash; of several destinations the first one's, as in Istio. */
function connectionPolicy(
  reference: ServiceReference,
  { snapshot, node, place, find }: ChainContext,
): Pick<TcpProxy, "idleTimeoutMs" | "hashesBySource"> {
  const service = find(reference.host);
  if (service === undefined) return {};
  const { destinationRules, settings } = snapshot;
  const rule = destinationRuleFor(destinationRules, service, node.namespace, settings.rootNamespace);
  const subset = rule?.subsets.find(({ name }) => name === reference.subset);
  const { connectionPool, loadBalancer } = policyFor(rule, subset, portOf(reference, place.port, find));
  const { tcpIdleTimeoutMs } = connectionPool ?? {};
  return {
    ...(tcpIdleTimeoutMs === undefined ? {} : { idleTimeoutMs: tcpIdleTimeoutMs }),
    // Of what can be hashed by, a connection has only this.
    ...(loadBalancer?.hashPolicy?.kind === "source-ip" ? { hashesBySource: true } : {}),
  };
}
