import { z } from "zod";
import type { StringMatch } from "../../../common/model/string-match.ts";
import { refuseBadRegex, regexField } from "./regex.ts";

const prefixText = z.string().superRefine((prefix, context) => {
  if (prefix !== "") return;
  context.addIssue({
    code: "custom",
    message: "an empty prefix would match everything",
    params: { hint: "leave the match out, or write what the text must start with" },
  });
});

const forms = {
  exact: z.string().optional(),
  prefix: prefixText.optional(),
  regex: regexField.optional(),
};

/** Istio's StringMatch with exactly one of its forms. */
export const stringMatchField = z.strictObject(forms).superRefine((match, context) => {
  const count = given(match).length;
  if (count !== 1) refuseCount(count, context);
});

/** Istio's StringMatch where `{}` asks only for presence (headers, withoutHeaders, queryParams). */
export const presenceMatchField = z.strictObject(forms).superRefine((match, context) => {
  const count = given(match).length;
  if (count > 1) refuseCount(count, context);
});

/** In `withoutHeaders` Istio reads the regex `*`, which is no RE2, as presence. */
export const withoutHeaderMatchField = z
  .strictObject({
    ...forms,
    regex: z
      .string()
      .superRefine((pattern, context) => {
        if (pattern !== "*") refuseBadRegex(pattern, context);
      })
      .optional(),
  })
  .superRefine((match, context) => {
    const count = given(match).length;
    if (count > 1) refuseCount(count, context);
  });

export type StringMatchInput = z.infer<typeof stringMatchField>;

/** The model's form; undefined for `{}` and the regex `*`, which mean presence. */
export function compileStringMatch(match: StringMatchInput): StringMatch | undefined {
  if (match.regex === "*") return undefined;
  if (match.exact !== undefined) return { kind: "exact", value: match.exact };
  if (match.prefix !== undefined) return { kind: "prefix", value: match.prefix };
  if (match.regex !== undefined) return { kind: "regex", value: match.regex };
  return undefined;
}

function given(match: StringMatchInput): readonly string[] {
  return Object.entries(match).flatMap(([form, value]) => (value === undefined ? [] : [form]));
}

function refuseCount(count: number, context: z.RefinementCtx): void {
  context.addIssue({
    code: "custom",
    message: count === 0 ? "says nothing to compare with" : `gives ${count} of exact, prefix and regex`,
    params: { hint: "give exactly one of exact, prefix, regex" },
  });
}
