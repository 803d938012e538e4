import { z } from "zod";
import { isDnsLabel, isDnsSubdomain } from "./names.ts";

/** Istio's name of a Gateway in a VirtualService: `mesh`, `name`, `namespace/name`, or the legacy `name.namespace…`. */
export const gatewayNameField: z.ZodString = z.string().superRefine((name, context) => {
  const slash = name.indexOf("/");
  const fine =
    slash === -1
      ? isDnsSubdomain(name)
      : (name.startsWith("./") || isDnsLabel(name.slice(0, slash))) && isDnsLabel(name.slice(slash + 1));
  if (fine) return;
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(name)} is not the name of a gateway`,
    params: { hint: 'write "mesh", a Gateway of the same namespace, or namespace/name' },
  });
});

/** "mesh" or `namespace/name`. */
export function resolveGatewayName(name: string, namespace: string): string {
  if (name === "mesh") return name;
  if (name.startsWith("./")) return `${namespace}/${name.slice(2)}`;
  if (name.includes("/")) return name;
  // Before Istio had namespace/name, a gateway of another namespace was named like a host.
  const [legacyName, legacyNamespace] = name.split(".");
  return legacyNamespace === undefined ? `${namespace}/${name}` : `${legacyNamespace}/${legacyName}`;
}
