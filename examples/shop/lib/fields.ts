import { ServiceError } from "./service.ts";

/** A string field of a JSON body; 400 naming it when it is missing or no text. */
export function textField(body: unknown, name: string): string {
  const value = fieldOf(body, name);
  if (typeof value === "string" && value !== "") return value;
  throw new ServiceError(400, `${name} is missing: send it as text`);
}

/** A whole number from `min` to `max`; 400 naming the field otherwise. */
export function integerField(body: unknown, name: string, min: number, max: number): number {
  const value = fieldOf(body, name);
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
  throw new ServiceError(400, `${name} must be a whole number from ${min} to ${max}`);
}

/** The list in a field, or an empty one. */
export function listField(body: unknown, name: string): readonly unknown[] {
  const value = fieldOf(body, name);
  return Array.isArray(value) ? value : [];
}

function fieldOf(body: unknown, name: string): unknown {
  return typeof body === "object" && body !== null && Object.hasOwn(body, name)
    ? (body as Record<string, unknown>)[name]
    : undefined;
}
