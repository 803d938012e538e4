import type { TokenClaims } from "../model/authentication.ts";
import { byteString } from "./byte-string.ts";

/**
 * The texts of a claim as policies compare them: of a text itself, of a list its texts; numbers and booleans by their JSON. As byte
 * strings, as everything that is matched. Empty when there is none.
 */
export function claimValues(claims: TokenClaims, path: readonly string[]): readonly string[] {
  let value: unknown = claims;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return [];
    value = (value as Record<string, unknown>)[key];
  }
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values.flatMap((item) => {
    if (typeof item === "string") return [byteString(item)];
    return typeof item === "number" || typeof item === "boolean" ? [String(item)] : [];
  });
}
