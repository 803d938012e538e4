import { isIP } from "node:net";
import { z } from "zod";
import { isDnsLabel } from "./names.ts";

/** What follows the namespace in the full name of a service: `reviews.default.svc.cluster.local`. */
export const serviceDomain = "svc.cluster.local";

/** A host name, an IP address, or where `wildcards` allows it `*` or `*.example.com`. */
export function hostField(wildcards: "none" | "suffix" | "any"): z.ZodString {
  return z.string().superRefine((host, context) => {
    const wrong = hostProblem(host, wildcards);
    if (wrong) context.addIssue({ code: "custom", message: wrong.why, params: { hint: wrong.hint } });
  });
}

export function hostProblem(
  host: string,
  wildcards: "none" | "suffix" | "any",
): { readonly why: string; readonly hint: string } | undefined {
  const quoted = JSON.stringify(host);
  if (host === "*") {
    if (wildcards === "any") return undefined;
    return { why: '"*" is not allowed here', hint: "name one host" };
  }
  if (isIP(host) !== 0) return undefined;
  if (/:\d+$/.test(host))
    return { why: `${quoted} carries a port`, hint: "a host is written without its port" };
  const isWildcard = host.startsWith("*.");
  const rest = (isWildcard ? host.slice(2) : host).toLowerCase();
  if (rest.includes("*"))
    return { why: `${quoted} has a wildcard inside`, hint: 'a wildcard is "*" or begins with "*."' };
  if (isWildcard && wildcards === "none") return { why: `${quoted} is a wildcard`, hint: "name one host" };
  if (rest.length > 253 || !rest.split(".").every(isDnsLabel)) {
    return { why: `${quoted} is not a host name`, hint: "labels of a-z, 0-9 and -, joined by dots" };
  }
  return undefined;
}

/**
 * The full name, lower case. As in Istio, a name without a dot belongs to the namespace of the resource that wrote it
 * (`reviews` → `reviews.default.svc.cluster.local`); a name with a dot (also `reviews.other`), a wildcard or an address is
 * taken as it is. So is `localhost`, which everyone calls their own: rules for it serve apps that ask their sidecar by path.
 */
export function resolveHost(host: string, namespace: string): string {
  const lower = host.toLowerCase();
  if (lower === "*" || lower === "localhost" || lower.includes(".") || isIP(lower) !== 0) return lower;
  return `${lower}.${namespace}.${serviceDomain}`;
}
