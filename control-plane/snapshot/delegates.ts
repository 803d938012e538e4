import type { PathMatch, RouteMatch } from "../../common/model/route.ts";
import type { StringMatch } from "../../common/model/string-match.ts";
import type { Resource } from "../resources/resource.ts";
import type {
  CompiledHttpMatch,
  CompiledHttpRule,
  CompiledVirtualService,
  RuleScope,
} from "../resources/virtual-service/compiled.ts";
import { isVisible } from "./hosts.ts";
import { inherit } from "./inherit.ts";
import type { MeshRule } from "./mesh.ts";

type VirtualServiceResource = Resource<CompiledVirtualService>;

/** Finds a VirtualService by `namespace/name`. */
export type FindVirtualService = (name: string) => VirtualServiceResource | undefined;

/** Why a rule's delegate cannot be used, or the delegate. */
export type DelegateLookup =
  | { readonly ok: true; readonly delegate: VirtualServiceResource }
  | { readonly ok: false; readonly why: string; readonly hint: string };

/**
 * Follows one `delegate`. As in Istio: one level only, the delegate has no hosts of its own and is exported to the
 * namespace of the root.
 */
export function lookUpDelegate(
  root: VirtualServiceResource,
  { namespace, name }: NonNullable<CompiledHttpRule["delegate"]>,
  find: FindVirtualService,
): DelegateLookup {
  const label = `${namespace}/${name}`;
  if (namespace === root.namespace && name === root.name) {
    return {
      ok: false,
      why: "it delegates to itself",
      hint: "name another VirtualService, one without hosts",
    };
  }
  const delegate = find(label);
  if (delegate === undefined) {
    return {
      ok: false,
      why: `there is no VirtualService ${label} to delegate to`,
      hint: `apply VirtualService ${label}, without hosts`,
    };
  }
  if (delegate.compiled.hosts.length > 0) {
    return {
      ok: false,
      why: `VirtualService ${label} has hosts, so nothing can delegate to it`,
      hint: `remove spec.hosts and spec.gateways from VirtualService ${label}`,
    };
  }
  if (!isVisible(delegate.compiled.exportTo, delegate.namespace, root.namespace)) {
    return {
      ok: false,
      why: `VirtualService ${label} is not exported to namespace ${root.namespace}`,
      hint: `add ${JSON.stringify(root.namespace)} to its spec.exportTo`,
    };
  }
  const nested = delegate.compiled.http.find((rule) => rule.delegate !== undefined);
  if (nested !== undefined) {
    return {
      ok: false,
      why: `VirtualService ${label} delegates further to ${nested.delegate!.namespace}/${nested.delegate!.name}`,
      hint: "delegates go one level deep: write those rules into it",
    };
  }
  return { ok: true, delegate };
}

/** The delegate's rules as they apply under the root's rule; a pair of matches that exclude each other goes into `excluded`. */
export function expandDelegate(
  rule: CompiledHttpRule,
  delegate: VirtualServiceResource,
  excluded: (inner: CompiledHttpMatch, outer: CompiledHttpMatch) => void = () => {},
): MeshRule[] {
  return delegate.compiled.http.flatMap((inner, index) => {
    if (inner.route === undefined) return [];
    const matches = rule.matches.flatMap((outer) =>
      inner.matches.flatMap((own) => {
        const both = combine(outer, own);
        if (both === undefined) excluded(own, outer);
        return both ?? [];
      }),
    );
    if (matches.length === 0) return [];
    const name = [rule.name, inner.name].filter((part) => part !== "").join("-");
    const route = inherit(inner.route, rule.inherited, (field) => isWritten(delegate, index, field));
    return [{ name, source: inner.source, matches, route }];
  });
}

/** Compiled, a field that is absent and one that says "none" look alike. */
function isWritten({ object }: VirtualServiceResource, index: number, field: string): boolean {
  const spec = object["spec"] as { http?: readonly Readonly<Record<string, unknown>>[] } | undefined;
  return spec?.http?.[index]?.[field] !== undefined;
}

/** What satisfies both; undefined when nothing can, or when RE2 patterns would have to be intersected. */
function combine(outer: CompiledHttpMatch, inner: CompiledHttpMatch): CompiledHttpMatch | undefined {
  const path = bothPaths(outer.match.path, inner.match.path);
  const method = bothStrings(outer.match.method, inner.match.method);
  const scheme = bothStrings(outer.match.scheme, inner.match.scheme);
  const authority = bothStrings(outer.match.authority, inner.match.authority);
  const scope = bothScopes(outer.scope, inner.scope);
  if (!path || method === "none" || scheme === "none" || authority === "none" || !scope) return undefined;
  const match: RouteMatch = {
    path,
    ...(method && { method }),
    ...(scheme && { scheme }),
    ...(authority && { authority }),
    headers: [...outer.match.headers, ...inner.match.headers],
    ...(outer.match.claims || inner.match.claims
      ? { claims: [...(outer.match.claims ?? []), ...(inner.match.claims ?? [])] }
      : {}),
    queryParams: [...outer.match.queryParams, ...inner.match.queryParams],
  };
  const name = [outer.name, inner.name].filter((part) => part !== "").join("-");
  return { name, match, scope, source: inner.source };
}

function bothPaths(outer: PathMatch, inner: PathMatch): PathMatch | undefined {
  if (outer.kind === "any") return inner;
  if (inner.kind === "any") return outer;
  if (outer.kind === "regex" || inner.kind === "regex") return equalPaths(outer, inner) ? inner : undefined;
  // What ignores case admits more, so it can't be narrowed by something that doesn't, unless that is the inner one.
  if (inner.ignoreCase && !outer.ignoreCase) return undefined;
  const fold = (text: string) => (outer.ignoreCase ? text.toLowerCase() : text);
  const [wide, narrow] = [fold(outer.value), fold(inner.value)];
  if (outer.kind === "exact") return inner.kind === "exact" && wide === narrow ? inner : undefined;
  return narrow.startsWith(wide) ? inner : undefined;
}

function equalPaths(a: PathMatch, b: PathMatch): boolean {
  return a.kind === b.kind && a.kind !== "any" && b.kind !== "any" && a.value === b.value;
}

function bothStrings(
  outer: StringMatch | undefined,
  inner: StringMatch | undefined,
): StringMatch | undefined | "none" {
  if (outer === undefined || inner === undefined) return outer ?? inner;
  if (outer.kind === inner.kind && outer.value === inner.value) return inner;
  if (outer.kind === "prefix" && inner.kind !== "regex" && inner.value.startsWith(outer.value)) return inner;
  return "none";
}

function bothScopes(outer: RuleScope, inner: RuleScope): RuleScope | undefined {
  const { sourceLabels: wide = {}, ...outerRest } = outer;
  const { sourceLabels: narrow = {}, ...innerRest } = inner;
  const labelsClash = Object.entries(narrow).some(
    ([key, value]) => Object.hasOwn(wide, key) && wide[key] !== value,
  );
  const differs = (a: unknown, b: unknown) => a !== undefined && b !== undefined && a !== b;
  if (
    labelsClash ||
    differs(outer.port, inner.port) ||
    differs(outer.sourceNamespace, inner.sourceNamespace)
  ) {
    return undefined;
  }
  const gateways =
    outer.gateways && inner.gateways
      ? inner.gateways.filter((gateway) => outer.gateways!.includes(gateway))
      : (inner.gateways ?? outer.gateways);
  if (gateways?.length === 0) return undefined;
  const sourceLabels = Object.fromEntries([...Object.entries(wide), ...Object.entries(narrow)]);
  return {
    ...outerRest,
    ...innerRest,
    ...(gateways && { gateways }),
    ...(Object.keys(sourceLabels).length > 0 && { sourceLabels }),
  };
}
