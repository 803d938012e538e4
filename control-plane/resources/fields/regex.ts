import { z } from "zod";
import { regexProblem } from "../../../common/routing/regex.ts";

/** An RE2 pattern. Nested repetition such as `(a+)+` is fine: RE2 runs in linear time whatever the pattern. */
export const regexField: z.ZodString = z.string().superRefine(refuseBadRegex);

/** The same as a check, for fields that take more than patterns. Uses the proxy's own compiler, so both agree. */
export function refuseBadRegex(pattern: string, context: z.RefinementCtx): void {
  if (pattern === "") {
    context.addIssue({
      code: "custom",
      message: "an empty regex",
      params: { hint: "write .* to match anything" },
    });
    return;
  }
  const wrong = regexProblem(pattern);
  if (wrong === undefined) return;
  const params = {
    hint: "regexes have RE2's syntax, without look-around and back references, and at most 1024 characters",
  };
  context.addIssue({ code: "custom", message: wrong, params });
}
