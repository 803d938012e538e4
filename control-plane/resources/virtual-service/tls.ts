import { z } from "zod";
import type { FieldProblem } from "../field-problem.ts";
import { hostField, resolveHost } from "../fields/host.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledTlsRule } from "./compiled.ts";
import {
  compileConnectionMatch,
  compileConnectionRoute,
  connectionMatchFields,
  connectionRoute,
  validateConnectionRoute,
} from "./l4.ts";

const tlsMatch = z.strictObject({
  sniHosts: z
    .array(hostField("any"))
    .min(1)
    .describe("Server names that clients ask for; each is one of the hosts, or below a wildcard of them."),
  ...connectionMatchFields,
});

/** Istio's TLSRoute: where connections go whose TLS is not ended here. */
export const tlsRule = z.strictObject({
  match: z.array(tlsMatch).min(1),
  route: connectionRoute,
});

export type TlsRule = z.infer<typeof tlsRule>;

/** Paths start at the rule. `hosts`: those of the VirtualService, short names as well as full ones. */
export function validateTlsRule(rule: TlsRule, hosts: readonly string[], namespace: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const all = [...hosts, ...hosts.map((host) => resolveHost(host, namespace))];
  rule.match.forEach(({ sniHosts }, index) => {
    sniHosts.forEach((name, place) => {
      if (all.some((host) => isWithin(host.toLowerCase(), name.toLowerCase()))) return;
      problems.push({
        path: ["match", index, "sniHosts", place],
        why: `${JSON.stringify(name)} is none of the hosts`,
        hint: `hosts are ${hosts.join(", ")}`,
      });
    });
  });
  return [...problems, ...validateConnectionRoute(rule.route)];
}

function isWithin(host: string, name: string): boolean {
  return host === "*" || host === name || (host.startsWith("*.") && name.endsWith(host.slice(1)));
}

export function compileTlsRule(rule: TlsRule, index: number, context: SpecContext): CompiledTlsRule {
  return {
    source: context.sourceOf(["tls", index]),
    matches: rule.match.map(({ sniHosts, ...match }) => ({
      serverNames: sniHosts.map((name) => name.toLowerCase()),
      ...compileConnectionMatch(match, context.namespace),
    })),
    destinations: compileConnectionRoute(rule.route, context.namespace),
  };
}
