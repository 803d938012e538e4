import { isDeepStrictEqual } from "node:util";
import type { CircuitBreakerPolicy } from "../../common/model/circuit-breaker.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { VirtualHost } from "../../common/model/route.ts";
import type { ServiceReference } from "../../common/model/service.ts";
import { reuseIn } from "../snapshot/reuse.ts";
import type { MeshService, MeshVirtualService } from "../snapshot/snapshot.ts";
import type { FindHashing } from "./hash-policies.ts";
import type { SkippedRule } from "./proxy-resources.ts";
import type { FindService } from "./routes.ts";
import { defaultRoute, translateRules } from "./routes.ts";
import type { Place } from "./rule-scope.ts";

export interface TranslatedHost {
  readonly virtualHost: VirtualHost;
  readonly skipped: readonly SkippedRule[];
}

export interface HostPlan {
  readonly name: string;
  readonly domains: readonly string[];
  /** Whose default route stands where no rule applies; absent for hosts that are no service and for gateways. */
  readonly service?: MeshService;
  /** Whose rules apply; oldest first. */
  readonly virtuals: readonly MeshVirtualService[];
  readonly place: Place;
}

/** What a VirtualService's routes depend on besides itself. */
interface Dependencies {
  readonly hosts: readonly string[];
  readonly labelKeys: readonly string[];
  readonly onNamespace: boolean;
}

const made = new WeakMap<object, Map<string, TranslatedHost>>();
const dependencies = new WeakMap<MeshVirtualService, Dependencies>();

/**
 * The virtual host of a plan; undefined when it would have no route. Proxies whose plans can't give different routes get
 * the same object, and so do later snapshots in which nothing that matters to it changed. `before`: what the same proxy had
 * under this name, which outlives the rules and the service that it was made from.
 */
export function translateHost(
  plan: HostPlan,
  find: FindService,
  hashing: FindHashing,
  before?: VirtualHost,
): TranslatedHost | undefined {
  const { service, virtuals, place } = plan;
  const anchor = service ?? virtuals[0];
  if (anchor === undefined) return undefined;
  const cache = made.get(anchor) ?? new Map<string, TranslatedHost>();
  made.set(anchor, cache);
  const domains = plan.domains.join(" ");
  const references = virtuals.flatMap((virtual) => dependenciesOf(virtual).hosts.map(find));
  const fallbacks = [service, ...references].flatMap((called) => fallbackHosts(called).map(find));
  // Which rule shapes a call depends on the caller's namespace, so callers with other rules have other routes.
  const rules = [service, ...references].flatMap((called) => hashing(called) ?? []);
  const variant = [variantOf(plan), ...rules.map((rule) => `${rule.namespace}/${rule.host}`)].join(" ");
  const translated = reuseIn(
    cache,
    variant,
    [domains, ...virtuals, ...references, ...fallbacks, ...rules, ...(place.rateLimits ?? [])],
    () => {
      const { routes, skipped } = translateRules(virtuals, plan.name, place, find, hashing);
      // As in Istio, a VirtualService without a rule for this proxy leaves the service as if it weren't there.
      const isDefault = routes.length === 0 && service !== undefined && place.port !== undefined;
      const virtualHost: VirtualHost = {
        name: plan.name,
        domains: plan.domains,
        routes: isDefault ? [defaultRoute(service, place.port, find, hashing)] : routes,
      };
      const known = Array.from(cache.values(), (variant) => variant.virtualHost);
      if (before !== undefined) known.push(before);
      const equal = known.find((host) => isDeepStrictEqual(host, virtualHost));
      return { virtualHost: equal ?? virtualHost, skipped };
    },
  );
  return translated;
}

function fallbackHosts(service: MeshService | undefined): string[] {
  return (service?.breakers ?? []).flatMap(({ policy }) => fallbackHost(policy));
}

function fallbackHost(policy: CircuitBreakerPolicy<ServiceReference> | undefined): string[] {
  return policy?.fallback?.kind === "destination" ? [policy.fallback.destination.host] : [];
}

/** Equal for plans that can share a result as long as their inputs are the same. */
function variantOf({ name, domains, virtuals, place }: HostPlan): string {
  const all = virtuals.map(dependenciesOf);
  const labels = labelsIn(place.node, [...new Set(all.flatMap(({ labelKeys }) => labelKeys))]);
  const namespace = all.some(({ onNamespace }) => onNamespace) ? place.node.namespace : "";
  const names = virtuals.map(({ key }) => `${key.namespace}/${key.name}`);
  // Its own namespace knows a service by one more name, so the count of domains tells most of the variants apart.
  return [place.node.kind, place.gateway, place.port, name, domains.length, namespace, labels, ...names].join(
    " ",
  );
}

/** The labels that matter, in one string. */
export function labelsIn({ labels }: Pick<ProxyNode, "labels">, keys: readonly string[]): string {
  if (keys.length === 0) return "";
  return JSON.stringify(keys.map((key) => (Object.hasOwn(labels, key) ? labels[key] : undefined) ?? null));
}

function dependenciesOf(virtual: MeshVirtualService): Dependencies {
  const known = dependencies.get(virtual);
  if (known !== undefined) return known;
  const actions = virtual.rules.map(({ route }) => route.action);
  const references = actions.flatMap((action) =>
    action.kind === "forward" ? [...action.destinations, ...action.mirrors] : [],
  );
  const scopes = virtual.rules.flatMap(({ matches }) => matches.map(({ scope }) => scope));
  const callers = virtual.rules.flatMap(({ faults = [] }) => faults.flatMap((fault) => fault.callers ?? []));
  const found: Dependencies = {
    hosts: [
      ...new Set([
        ...references.map(({ destination }) => destination.host),
        ...virtual.rules.flatMap(({ breaker }) => fallbackHost(breaker)),
      ]),
    ],
    labelKeys: [
      ...new Set([
        ...scopes.flatMap((scope) => Object.keys(scope.sourceLabels ?? {})),
        ...callers.flatMap((caller) => Object.keys(caller.labels ?? {})),
      ]),
    ].sort(),
    onNamespace:
      scopes.some(({ sourceNamespace }) => sourceNamespace !== undefined) ||
      callers.some((caller) => caller.namespace !== undefined),
  };
  dependencies.set(virtual, found);
  return found;
}
