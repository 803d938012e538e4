import { z } from "zod";
import { parseDuration } from "../../../common/base/duration.ts";

/** Istio's duration (`1h30m`, `5s`, `100ms`), at least `minMs`. Stays text, so that the object keeps its form. */
export function durationField(minMs = 0): z.ZodString {
  return z.string({ error: unquoted }).superRefine((text, context) => {
    const parsed = parseDuration(text);
    if (!parsed.ok) {
      const params = parsed.hint === undefined ? {} : { hint: parsed.hint };
      context.addIssue({ code: "custom", message: parsed.why, params });
    } else if (parsed.ms < minMs) {
      context.addIssue({
        code: "custom",
        message: `${JSON.stringify(text)} is too short`,
        params: { hint: `the shortest is ${minMs}ms` },
      });
    }
  });
}

/** A bare number is what people write who think in seconds or milliseconds. */
function unquoted({ input }: { readonly input?: unknown }): string | undefined {
  return typeof input === "number" ? `${input} has no unit: write ${input}s or ${input}ms` : undefined;
}

/** ms of a text that the schema has let through; undefined stays undefined. */
export function durationMs(text: string): number;
export function durationMs(text: string | undefined): number | undefined;
export function durationMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const parsed = parseDuration(text);
  return parsed.ok ? parsed.ms : undefined;
}
