import type { Labels } from "../../common/model/endpoint.ts";
import type { CompiledAuthorizationPolicy } from "../resources/authorization-policy/compiled.ts";
import type { CompiledRequestAuthentication } from "../resources/request-authentication/compiled.ts";
import type { Resource } from "../resources/resource.ts";
import { hasLabels } from "./endpoints.ts";

export type {
  AccessField,
  CompiledAccessRule,
  CompiledAuthorizationPolicy,
} from "../resources/authorization-policy/compiled.ts";
export type { CompiledRequestAuthentication } from "../resources/request-authentication/compiled.ts";

/** Something that holds for the workloads that a selector names. */
interface Selecting {
  readonly selector: Labels;
}

/** Policies by namespace, oldest first. Lists hold the same objects as long as the resources stay. */
export type PolicyIndex<P> = ReadonlyMap<string, readonly P[]>;

/** Who may do what, and whose tokens are believed. */
export interface AccessIndex {
  readonly authorization: PolicyIndex<CompiledAuthorizationPolicy>;
  readonly authentication: PolicyIndex<CompiledRequestAuthentication>;
}

export function indexAccess(
  authorization: readonly Resource<CompiledAuthorizationPolicy>[],
  authentication: readonly Resource<CompiledRequestAuthentication>[],
): AccessIndex {
  return { authorization: byNamespace(authorization), authentication: byNamespace(authentication) };
}

/**
 * What holds for a workload: what lies in the root namespace, where a selector looks at every namespace, then what lies in its own
 * (Istio's rule).
 */
export function policiesFor<P extends Selecting>(
  index: PolicyIndex<P>,
  { namespace, labels }: { readonly namespace: string; readonly labels: Labels },
  rootNamespace: string,
): readonly P[] {
  const namespaces = namespace === rootNamespace ? [namespace] : [rootNamespace, namespace];
  return namespaces
    .flatMap((name) => index.get(name) ?? [])
    .filter(({ selector }) => hasLabels(labels, selector));
}

function byNamespace<P extends { readonly kind: Resource["kind"] } & Selecting>(
  resources: readonly { readonly namespace: string; readonly compiled: P }[],
): PolicyIndex<P> {
  const index = new Map<string, P[]>();
  for (const { namespace, compiled } of resources) {
    const list = index.get(namespace);
    if (list === undefined) index.set(namespace, [compiled]);
    else list.push(compiled);
  }
  return index;
}
