import type { FieldProblem } from "../field-problem.ts";
import type { SpecContext } from "../kind.ts";
import type { PeerAuthenticationSpec } from "./schema.ts";

export function validatePeerAuthentication(
  { selector, portLevelMtls }: PeerAuthenticationSpec,
  _context: SpecContext,
): FieldProblem[] {
  const hasSelector = Object.keys(selector?.matchLabels ?? {}).length > 0;
  if (portLevelMtls === undefined || hasSelector) return [];
  const why = "is for the ports of workloads that a selector names";
  return [
    { path: ["portLevelMtls"], why, hint: "add selector.matchLabels, or say it for all ports in mtls" },
  ];
}
