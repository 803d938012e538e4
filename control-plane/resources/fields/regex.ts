import { RE2JS } from "re2js";
import { z } from "zod";

/** Istio's limit on a pattern, in bytes; the compiled program stays near it. */
export const maxRegexBytes = 1024;

/** An RE2 pattern. Nested repetition such as `(a+)+` is fine: RE2 runs in linear time whatever the pattern. */
export const regexField: z.ZodString = z.string().superRefine(refuseBadRegex);

/** The same as a check, for fields that take more than patterns. */
export function refuseBadRegex(pattern: string, context: z.RefinementCtx): void {
  const wrong = regexProblem(pattern);
  if (wrong) context.addIssue({ code: "custom", message: wrong.why, params: { hint: wrong.hint } });
}

/** Why `pattern` is no regex that a proxy would take; undefined when it is one. */
export function regexProblem(pattern: string): { readonly why: string; readonly hint: string } | undefined {
  if (pattern === "") return { why: "an empty regex", hint: "write .* to match anything" };
  const bytes = Buffer.byteLength(pattern);
  if (bytes > maxRegexBytes) {
    return {
      why: `the regex is ${bytes} bytes long: the limit is ${maxRegexBytes}`,
      hint: "split it into several matches",
    };
  }
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return {
      why: `${JSON.stringify(pattern)} is not a valid regex: ${reason}`,
      hint: "regexes have RE2's syntax: no look-around, no back references",
    };
  }
}
