import { z } from "zod";
import { grpcStatusNames } from "../../../common/model/grpc-status.ts";
import type { FaultAbort, FaultDelay, FaultPolicy } from "../../../common/model/route.ts";
import { durationField, durationMs } from "../fields/duration.ts";
import { notYet } from "../fields/not-yet.ts";
import type { Percent } from "../fields/numbers.ts";
import { integerField, percentField, percentFraction } from "../fields/numbers.ts";

const delay = z
  .strictObject({
    fixedDelay: durationField(1).optional(),
    exponentialDelay: durationField(1).optional().describe("The mean of exponentially distributed delays."),
    percentage: percentField.optional().describe("Absent: no request is delayed."),
    percent: integerField("a percentage", 0, 100).optional().describe("Deprecated, use percentage."),
  })
  .superRefine((input, context) =>
    requireOne(context, { fixedDelay: input.fixedDelay, exponentialDelay: input.exponentialDelay }),
  );

const abort = z
  .strictObject({
    httpStatus: integerField("an HTTP status", 200, 599).optional(),
    grpcStatus: z.enum(grpcStatusNames).optional(),
    http2Error: notYet("use httpStatus or grpcStatus"),
    percentage: percentField.optional().describe("Absent: no request is aborted."),
  })
  .superRefine((input, context) =>
    requireOne(context, { httpStatus: input.httpStatus, grpcStatus: input.grpcStatus }),
  );

/** Istio's HTTPFaultInjection. */
export const faultField = z
  .strictObject({ delay: delay.optional(), abort: abort.optional() })
  .superRefine((fault, context) => {
    if (fault.delay !== undefined || fault.abort !== undefined) return;
    context.addIssue({
      code: "custom",
      message: "injects nothing",
      params: { hint: "give delay, abort or both" },
    });
  });

export type FaultInput = z.infer<typeof faultField>;

/** Without a percentage nothing is injected (Istio's documented default). */
export function compileFault(fault: FaultInput): FaultPolicy {
  return {
    ...(fault.delay ? { delay: compileDelay(fault.delay) } : {}),
    ...(fault.abort ? { abort: compileAbort(fault.abort) } : {}),
  };
}

function compileDelay(input: z.infer<typeof delay>): FaultDelay {
  const fraction = fractionOf(input.percentage, input.percent);
  return input.fixedDelay === undefined
    ? { fraction, kind: "exponential", ms: durationMs(input.exponentialDelay) ?? 0 }
    : { fraction, kind: "fixed", ms: durationMs(input.fixedDelay) };
}

function compileAbort(input: z.infer<typeof abort>): FaultAbort {
  return {
    fraction: fractionOf(input.percentage, undefined),
    ...(input.httpStatus === undefined ? {} : { httpStatus: input.httpStatus }),
    ...(input.grpcStatus === undefined ? {} : { grpcStatus: input.grpcStatus }),
  };
}

function fractionOf(percentage: Percent | undefined, percent: number | undefined): number {
  return percentage === undefined ? (percent ?? 0) / 100 : percentFraction(percentage);
}

function requireOne(context: z.RefinementCtx, fields: Readonly<Record<string, unknown>>): void {
  const names = Object.keys(fields);
  const given = names.filter((name) => fields[name] !== undefined);
  if (given.length === 1) return;
  const message = given.length === 0 ? `needs ${names.join(" or ")}` : `gives both ${names.join(" and ")}`;
  context.addIssue({ code: "custom", message, params: { hint: `give exactly one of ${names.join(", ")}` } });
}
