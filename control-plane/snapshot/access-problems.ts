import { closestName } from "../../common/base/closest.ts";
import type { CompiledAuthorizationPolicy } from "../resources/authorization-policy/compiled.ts";
import type { Resource } from "../resources/resource.ts";
import type { ResourceProblem } from "./problems.ts";
import { keyOf, positionOf } from "./problems.ts";
import type { MeshSettings } from "./snapshot.ts";

/** Policies that ask somebody whom nobody knows: until that is mended they refuse everything at the workloads that they are for. */
export function accessProblems(
  policies: readonly Resource<CompiledAuthorizationPolicy>[],
  { extensionProviders = new Map() }: MeshSettings,
): ResourceProblem[] {
  return policies.flatMap((resource): ResourceProblem[] => {
    const { provider, rules } = resource.compiled;
    if (provider === undefined || rules.length === 0 || extensionProviders.has(provider)) return [];
    const known = [...extensionProviders.keys()];
    const guess = closestName(provider, known) ?? known[0];
    return [
      {
        resource: keyOf(resource),
        path: "spec.provider.name",
        why: `the mesh config has no extension provider ${provider}, so everything is refused where this policy holds`,
        hint:
          guess === undefined ? "add it to extensionProviders of the mesh config" : `did you mean ${guess}?`,
        severity: "warning",
        ...positionOf(resource.source),
      },
    ];
  });
}
