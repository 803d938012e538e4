import type { FieldProblem } from "../field-problem.ts";
import type { SpecContext } from "../kind.ts";
import type { RequestAuthenticationSpec } from "./schema.ts";

export function validateRequestAuthentication(
  { jwtRules = [] }: RequestAuthenticationSpec,
  _context: SpecContext,
): FieldProblem[] {
  return jwtRules.flatMap(({ jwks, jwksUri }, index): FieldProblem[] => {
    const path = ["jwtRules", index];
    if (jwks !== undefined && jwksUri !== undefined)
      return [{ path: [...path, "jwks"], why: "is given beside jwksUri", hint: "give one of them" }];
    if (jwks !== undefined || jwksUri !== undefined) return [];
    const why = "has neither jwks nor jwksUri";
    return [{ path, why, hint: "the issuer's discovery document says its jwks_uri" }];
  });
}
