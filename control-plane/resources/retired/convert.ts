import { convertAuthentication } from "./authentication.ts";
import { convertBindings, convertClusterRbacConfig } from "./rbac.ts";
import type { Converted, RetiredObject } from "./retired-object.ts";

/** Where mesh-wide objects go; the old kinds had no place of their own. */
export const defaultRootNamespace = "istio-system";

/** What objects of retired kinds say in today's: together, because a role says nothing without its bindings. */
export function convertRetired(
  objects: readonly RetiredObject[],
  rootNamespace: string = defaultRootNamespace,
): Converted {
  const ofKind = (...kinds: readonly string[]) => objects.filter(({ kind }) => kinds.includes(kind));
  const parts = [
    ...ofKind("Policy", "MeshPolicy").map((policy) => convertAuthentication(policy, rootNamespace)),
    ...ofKind("ClusterRbacConfig", "RbacConfig").map((config) =>
      convertClusterRbacConfig(config, rootNamespace),
    ),
    convertBindings(ofKind("ServiceRole"), ofKind("ServiceRoleBinding")),
  ];
  return {
    objects: parts.flatMap((part) => part.objects),
    problems: parts.flatMap((part) => part.problems),
  };
}
