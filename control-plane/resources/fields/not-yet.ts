import { z } from "zod";

/**
 * A field that Istio has and Weft does not do yet. It is refused by name rather than ignored, because a rule that silently
 * does less than it says is worse than none. In the CRDs it stays open, so that the API server does not prune it unseen.
 */
export function notYet(hint?: string): z.ZodOptional<z.ZodUnknown> {
  return z
    .unknown()
    .superRefine((_value, context) => {
      context.addIssue({ code: "custom", message: "is not supported yet", params: hint ? { hint } : {} });
    })
    .meta({ notYet: hint ?? true })
    .optional();
}
