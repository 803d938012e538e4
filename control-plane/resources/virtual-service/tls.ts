import { z } from "zod";
import type { FieldProblem } from "../field-problem.ts";
import { gatewayNameField, resolveGatewayName } from "../fields/gateway-name.ts";
import { hostField, resolveHost } from "../fields/host.ts";
import { dnsLabelField } from "../fields/names.ts";
import { notYet } from "../fields/not-yet.ts";
import { portField, weightField } from "../fields/numbers.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledTlsRule } from "./compiled.ts";

const tlsMatch = z.strictObject({
  sniHosts: z
    .array(hostField("any"))
    .min(1)
    .describe("Server names that clients ask for; each is one of the hosts, or below a wildcard of them."),
  port: portField.optional(),
  gateways: z.array(gatewayNameField).optional(),
  destinationSubnets: notYet(),
  sourceLabels: notYet("tls routes hold for gateways so far"),
  sourceNamespace: notYet("tls routes hold for gateways so far"),
});

const tlsDestination = z.strictObject({
  destination: z.strictObject({
    host: hostField("none"),
    subset: dnsLabelField("a subset name").optional(),
    port: z.strictObject({ number: portField }).optional(),
  }),
  weight: weightField.optional().describe("Share of the sum of all weights."),
});

/** Istio's TLSRoute: where connections go whose TLS is not ended here. */
export const tlsRule = z.strictObject({
  match: z.array(tlsMatch).min(1),
  route: z.array(tlsDestination).min(1),
});

export type TlsRule = z.infer<typeof tlsRule>;

/** Paths start at the rule. `hosts`: those of the VirtualService. */
export function validateTlsRule(rule: TlsRule, hosts: readonly string[]): FieldProblem[] {
  const problems: FieldProblem[] = [];
  rule.match.forEach(({ sniHosts }, index) => {
    sniHosts.forEach((name, place) => {
      if (hosts.some((host) => isWithin(host.toLowerCase(), name.toLowerCase()))) return;
      problems.push({
        path: ["match", index, "sniHosts", place],
        why: `${JSON.stringify(name)} is none of the hosts`,
        hint: `hosts are ${hosts.join(", ")}`,
      });
    });
  });
  const [only, ...others] = rule.route;
  const sum = rule.route.reduce((total, { weight = 0 }) => total + weight, 0);
  if (others.length > 0 ? sum === 0 : only?.weight === 0)
    problems.push({ path: ["route"], why: "all weights are 0", hint: "give one of them a weight" });
  return problems;
}

function isWithin(host: string, name: string): boolean {
  return host === "*" || host === name || (host.startsWith("*.") && name.endsWith(host.slice(1)));
}

export function compileTlsRule(rule: TlsRule, index: number, context: SpecContext): CompiledTlsRule {
  const isAlone = rule.route.length === 1;
  return {
    source: context.sourceOf(["tls", index]),
    matches: rule.match.map(({ sniHosts, port, gateways }) => ({
      serverNames: sniHosts.map((name) => name.toLowerCase()),
      scope: {
        ...(port === undefined ? {} : { port }),
        ...(gateways && gateways.length > 0
          ? { gateways: gateways.map((name) => resolveGatewayName(name, context.namespace)) }
          : {}),
      },
    })),
    destinations: rule.route.map(({ destination: { host, subset, port }, weight }) => ({
      destination: {
        host: resolveHost(host, context.namespace),
        ...(subset === undefined ? {} : { subset }),
        ...(port === undefined ? {} : { port: port.number }),
      },
      weight: weight ?? (isAlone ? 1 : 0),
    })),
  };
}
