import type { z } from "zod";

/** Reports unless exactly one of an object's fields is given. */
export function requireOne(context: z.RefinementCtx, fields: Readonly<Record<string, unknown>>): void {
  const given = Object.keys(fields).filter((name) => fields[name] !== undefined);
  if (given.length === 1) return;
  const message = given.length === 0 ? "says nothing" : `gives ${given.join(" and ")}`;
  context.addIssue({ code: "custom", message, params: { hint: "give exactly one of its fields" } });
}
