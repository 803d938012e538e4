import { z } from "zod";
import type { FieldProblem } from "../field-problem.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledTcpRule } from "./compiled.ts";
import {
  compileConnectionMatch,
  compileConnectionRoute,
  connectionMatchFields,
  connectionRoute,
  validateConnectionRoute,
} from "./l4.ts";
import { subnetField } from "./subnet.ts";

const tcpMatch = z.strictObject({
  ...connectionMatchFields,
  sourceSubnet: subnetField.optional().describe("Where the connection comes from: an address or a CIDR."),
});

/** Istio's TCPRoute: where connections go that are neither HTTP nor told apart by a server name. */
export const tcpRule = z.strictObject({
  match: z.array(tcpMatch).optional().describe("Any of these; none matches every connection."),
  route: connectionRoute,
});

export type TcpRule = z.infer<typeof tcpRule>;

/** Paths start at the rule. */
export function validateTcpRule(rule: TcpRule): FieldProblem[] {
  return validateConnectionRoute(rule.route);
}

export function compileTcpRule(rule: TcpRule, index: number, context: SpecContext): CompiledTcpRule {
  const matches = (rule.match ?? []).map(({ sourceSubnet, ...match }) => ({
    ...compileConnectionMatch(match, context.namespace),
    ...(sourceSubnet === undefined ? {} : { sourceCidrs: [sourceSubnet] }),
  }));
  return {
    source: context.sourceOf(["tcp", index]),
    matches: matches.length > 0 ? matches : [{ scope: {} }],
    destinations: compileConnectionRoute(rule.route, context.namespace),
  };
}
