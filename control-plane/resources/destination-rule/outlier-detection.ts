import { z } from "zod";
import type { OutlierDetection } from "../../../common/model/outlier-detection.ts";
import { defaultOutlierDetection } from "../../../common/model/outlier-detection.ts";
import { durationField, durationMs } from "../fields/duration.ts";
import { countField, integerField } from "../fields/numbers.ts";

const percent = integerField("a percentage", 0, 100);

/** Istio's OutlierDetection. */
export const outlierDetectionField = z.strictObject({
  consecutive5xxErrors: countField
    .optional()
    .describe("Failures in a row that eject an endpoint, default 5; 0 turns it off."),
  consecutiveGatewayErrors: countField
    .optional()
    .describe("The same for 502, 503 and 504 only; default 0, off."),
  splitExternalLocalOriginErrors: z
    .boolean()
    .optional()
    .describe("Count connect failures, resets and time-outs apart from answers; default false."),
  consecutiveLocalOriginFailures: countField
    .optional()
    .describe("Those failures in a row that eject, default 5; only with splitExternalLocalOriginErrors."),
  interval: durationField(1).optional().describe("Between looks at who may come back, default 10s."),
  baseEjectionTime: durationField(1)
    .optional()
    .describe("Times the number of ejections, at most 300s; default 30s."),
  maxEjectionPercent: percent
    .optional()
    .describe("Of the endpoints, default 10; one may always be ejected. 0 means the default."),
  minHealthPercent: percent
    .optional()
    .describe("With fewer healthy endpoints than this, ejections are ignored; default 0."),
  consecutiveErrors: countField
    .optional()
    .describe("Deprecated: consecutiveGatewayErrors with consecutive5xxErrors off, as Istio took it."),
  outlierDetectionHttpErrorCodes: z
    .array(integerField("an HTTP status", 100, 599))
    .min(1)
    .optional()
    .describe(
      "The statuses that count as errors, in place of 500 to 599; those but 502 to 504 count as a 500.",
    ),
});

export function compileOutlierDetection(input: z.infer<typeof outlierDetectionField>): OutlierDetection {
  const usual = defaultOutlierDetection;
  const { consecutiveErrors, outlierDetectionHttpErrorCodes: errorStatuses } = input;
  return {
    consecutive5xx:
      input.consecutive5xxErrors ?? (consecutiveErrors === undefined ? usual.consecutive5xx : 0),
    consecutiveGatewayErrors:
      input.consecutiveGatewayErrors ?? consecutiveErrors ?? usual.consecutiveGatewayErrors,
    splitLocalOrigin: input.splitExternalLocalOriginErrors ?? usual.splitLocalOrigin,
    consecutiveLocalOriginFailures:
      input.consecutiveLocalOriginFailures ?? usual.consecutiveLocalOriginFailures,
    intervalMs: durationMs(input.interval) ?? usual.intervalMs,
    baseEjectionMs: durationMs(input.baseEjectionTime) ?? usual.baseEjectionMs,
    // Protobuf cannot tell 0 from absent here, so Istio gives Envoy's default.
    maxEjectionPercent: input.maxEjectionPercent || usual.maxEjectionPercent,
    minHealthPercent: input.minHealthPercent ?? usual.minHealthPercent,
    ...(errorStatuses && { errorStatuses }),
  };
}
