import { z } from "zod";

/** A whole number in a range, refused with the whole range instead of only the end that was missed. */
export function integerField(noun: string, min: number, max: number): z.ZodInt {
  const error = (issue: { input?: unknown }) =>
    `${String(issue.input)} is not ${noun}: it must be from ${min} to ${max}`;
  return z.int().min(min, { error }).max(max, { error });
}

/** A TCP port. */
export const portField: z.ZodInt = integerField("a port", 1, 65_535);

/** A count that Istio keeps as int32 or uint32; what proxies can count is the smaller of the two. */
export const countField: z.ZodInt = integerField("a count", 0, 2_147_483_647);

/** Istio's int32 weight. */
export const weightField: z.ZodInt = integerField("a weight", 0, 2_147_483_647);

/**
 * Istio's Percent, `{ value: 12.5 }`: 0..100, where the smallest share that a proxy can draw is 0.0001 % (one in a million).
 */
export const percentField = z.strictObject({
  value: z
    .number()
    .superRefine((value, context) => {
      if (value < 0 || value > 100) {
        context.addIssue({
          code: "custom",
          message: `${value} is not a percentage: it must be from 0 to 100`,
        });
      } else if (value > 0 && value < 0.0001) {
        context.addIssue({
          code: "custom",
          message: `${value} is less than the smallest share that can be drawn, 0.0001`,
          params: { hint: "write 0, or 0.0001 or more" },
        });
      }
    })
    .optional(),
});

export type Percent = z.infer<typeof percentField>;

/** 0..1; an empty Percent is 0, as in protobuf. Rounded to the millionths that Envoy can express. */
export function percentFraction(percent: Percent): number {
  return Math.round((percent.value ?? 0) * 10_000) / 1_000_000;
}
