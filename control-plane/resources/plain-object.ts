import type { FieldPath, FieldProblem } from "./field-problem.ts";

/** How deep an object may nest. Istio's deepest field lies at 12; what is deeper attacks recursive readers. */
export const maxDepth = 64;

/** How many values one object may hold, all levels together. */
export const maxValues = 1_000_000;

/**
 * Finds what would make an object unsafe to walk, whoever built it: nesting without end, values that JSON does not have,
 * and the key `__proto__`, which some readers would take for a prototype. Everything after this may recurse.
 */
export function checkPlainObject(value: unknown): readonly FieldProblem[] {
  const problems: FieldProblem[] = [];
  let budget = maxValues;
  const visit = (inner: unknown, path: FieldPath): void => {
    budget--;
    if (budget < 0) return;
    if (path.length > maxDepth) {
      problems.push({
        path: path.slice(0, 4),
        why: `is nested deeper than ${maxDepth} levels`,
        hint: "no resource needs this depth",
      });
      budget = -1;
      return;
    }
    if (typeof inner !== "object" || inner === null) {
      if (!isJsonScalar(inner))
        problems.push({ path, why: `holds ${describe(inner)}, which JSON cannot say` });
      return;
    }
    if (Array.isArray(inner)) {
      inner.forEach((item, index) => {
        visit(item, [...path, index]);
      });
      return;
    }
    const prototype: unknown = Object.getPrototypeOf(inner);
    if (prototype !== Object.prototype && prototype !== null) {
      problems.push({ path, why: `holds ${describe(inner)}, which JSON cannot say` });
      return;
    }
    for (const key of Object.keys(inner)) {
      if (key === "__proto__") {
        problems.push({ path: [...path, key], why: 'the key "__proto__" is refused', hint: "remove it" });
        continue;
      }
      visit((inner as Record<string, unknown>)[key], [...path, key]);
    }
  };
  visit(value, []);
  if (budget < 0 && problems.length === 0) {
    problems.push({
      path: [],
      why: `holds more than ${maxValues} values`,
      hint: "split it into several objects",
    });
  }
  return problems;
}

function isJsonScalar(value: unknown): boolean {
  return value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
}

function describe(value: unknown): string {
  if (typeof value === "number") return String(value);
  if (typeof value === "object" && value !== null) return `a ${value.constructor?.name ?? "special"} value`;
  return `a value of type ${typeof value}`;
}
