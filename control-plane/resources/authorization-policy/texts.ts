import { z } from "zod";
import type { TextMatch } from "../../../common/model/authorization.ts";
import { isPathTemplate, pathTemplateProblem } from "../../../common/routing/path-template.ts";

/** The texts that Istio's policies compare with: exact, `prefix*`, `*suffix`, or `*` for any value. */

function textField(problem: (text: string) => { readonly why: string; readonly hint: string } | undefined) {
  return z.string().superRefine((text, context) => {
    const found = text === "" ? { why: "is empty", hint: 'write "*" for any value' } : problem(text);
    if (found === undefined) return;
    const message = text === "" ? found.why : `${JSON.stringify(text)} ${found.why}`;
    context.addIssue({ code: "custom", message, params: { hint: found.hint } });
  });
}

/** Istio reads a star elsewhere as a star; nobody means that. */
function starProblem(text: string): { readonly why: string; readonly hint: string } | undefined {
  const inner = text.replace(/^\*/, "").replace(/\*$/, "");
  const isBoth = text.length > 1 && text.startsWith("*") && text.endsWith("*");
  if (!inner.includes("*") && !isBoth) return undefined;
  return { why: "has a * that is not at one end", hint: "write exact, prefix*, *suffix or *" };
}

export const plainText: z.ZodString = textField(starProblem);

export const principalText: z.ZodString = textField((text) =>
  text.startsWith("spiffe://")
    ? { why: "begins with spiffe://", hint: "principals are written without it: cluster.local/ns/shop/sa/ui" }
    : starProblem(text),
);

export const serviceAccountText: z.ZodString = textField((text) =>
  /^[a-z0-9.-]+(?:\/[a-z0-9.-]+)?$/.test(text)
    ? undefined
    : { why: "is not a service account", hint: "write NAME or NAMESPACE/NAME, without *" },
);

export const methodText: z.ZodString = textField((text) => {
  if (/^\*?[A-Z-]*\*?$/.test(text)) return starProblem(text);
  return { why: "is not a method", hint: "methods are upper case: GET" };
});

export const portText: z.ZodString = textField((text) =>
  /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535
    ? undefined
    : { why: "is not a port", hint: 'write a number in quotes, such as "8080"' },
);

export const hostText: z.ZodString = textField((text) => {
  if (/[/\s@]/.test(text)) return { why: "is not a host", hint: "write it without scheme and path" };
  return starProblem(text);
});

export const pathText: z.ZodString = textField((text) => {
  if (isPathTemplate(text)) {
    const why = pathTemplateProblem(text);
    return why === undefined
      ? undefined
      : { why: `is no path template: ${why}`, hint: "/users/{*}/orders/{**}" };
  }
  if (!text.startsWith("/") && !text.startsWith("*"))
    return { why: "does not begin with /", hint: `write /${text}` };
  return starProblem(text);
});

/** The comparison that a text stands for; `before` goes before the text itself, such as `spiffe://`. */
export function compileText(text: string, { before = "", ignoreCase = false } = {}): TextMatch {
  const folded = ignoreCase ? { ignoreCase: true } : {};
  if (text === "*") return before === "" ? { kind: "present" } : { kind: "prefix", value: before };
  if (text.endsWith("*")) return { kind: "prefix", value: before + text.slice(0, -1), ...folded };
  if (text.startsWith("*")) return { kind: "suffix", value: text.slice(1), ...folded };
  return { kind: "exact", value: before + text, ...folded };
}
