import { z } from "zod";
import type { FieldProblem } from "../field-problem.ts";
import { integerField } from "../fields/numbers.ts";
import type { LocalityPolicy } from "./compiled.ts";

const localityPattern = z.string().regex(/^(\*|[^/*]+(\/[^/*]+){0,2}(\/\*)?)$/, {
  error: ({ input }) =>
    `${JSON.stringify(input)} is not region/zone/subzone, or a shorter form, or one that ends in /*`,
});
const region = z.string().regex(/^[^/*]+$/, {
  error: ({ input }) => `${JSON.stringify(input)} is not a region: it must not hold / or *`,
});

/** Istio's LocalityLoadBalancerSetting. */
export const localityField = z
  .strictObject({
    enabled: z.boolean().optional().describe("Default true."),
    distribute: z
      .array(
        z.strictObject({
          from: localityPattern,
          to: z.record(localityPattern, integerField("a share", 1, 100)),
        }),
      )
      .optional()
      .describe("Percents of the requests from one place by where they go; what is not listed gets none."),
    failover: z
      .array(z.strictObject({ from: region, to: region }))
      .optional()
      .describe("Which region takes over when the caller's own cannot."),
    failoverPriority: z
      .array(z.string().min(1))
      .optional()
      .describe(
        "Labels, key or key=value: the more of the first ones an endpoint shares with the caller, the nearer it is.",
      ),
  })
  .describe(
    "Near endpoints first: same subzone, zone, region, then the others. With any kind of health: readiness, HealthCheck, outlierDetection. The default where one of the last two is set, as in Istio; enabled: false turns it off.",
  );

type Input = z.infer<typeof localityField>;

export function compileLocality(input: Input | undefined): LocalityPolicy | "off" | undefined {
  if (input === undefined) return undefined;
  if (input.enabled === false) return "off";
  const { distribute = [], failover = [], failoverPriority = [] } = input;
  return { distribute, failover, failoverPriority };
}

/** Istio's ZoneAwareLoadBalancerSetting. */
export const zoneAwareField = z
  .strictObject({
    enabled: z.boolean().optional().describe("Default true."),
    failover: z
      .array(z.strictObject({ from: region, to: region }))
      .optional()
      .describe("Which region takes over when the caller's own cannot."),
    failoverPriority: z
      .array(z.string().min(1))
      .optional()
      .describe(
        "Labels, key or key=value, that say which endpoints come first; zones count among the first of them.",
      ),
    minClusterSize: integerField("a number of endpoints", 1, 1_000_000)
      .optional()
      .describe("With fewer endpoints requests go to all zones of the region; default 6."),
  })
  .describe(
    "Requests stay in their zone as far as its endpoints, against the callers there, have room for them; the rest goes to zones of the region that have room.",
  );

export function compileZoneAware(
  input: z.infer<typeof zoneAwareField> | undefined,
): LocalityPolicy | undefined {
  if (input === undefined || input.enabled === false) return undefined;
  const { failover = [], failoverPriority = [], minClusterSize = 6 } = input;
  return { distribute: [], failover, failoverPriority, zoneAware: { minClusterSize } };
}

export function validateLocality(input: Input | undefined): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const { distribute = [], failover = [], failoverPriority = [] } = input ?? {};
  if (distribute.length > 0 && failover.length + failoverPriority.length > 0) {
    const other = failover.length > 0 ? "failover" : "failoverPriority";
    problems.push({ path: ["distribute"], why: `stands beside ${other}`, hint: "keep one of the two" });
  }
  const seen = new Set<string>();
  for (const [index, { from, to }] of distribute.entries()) {
    const sum = Object.values(to).reduce((all, share) => all + share, 0);
    if (sum !== 100) {
      const why = `the shares make ${sum}, not 100`;
      problems.push({ path: ["distribute", index, "to"], why, hint: "let them make 100" });
    }
    if (seen.has(from)) {
      const why = `${JSON.stringify(from)} is given twice`;
      problems.push({ path: ["distribute", index, "from"], why, hint: "join the two" });
    }
    seen.add(from);
  }
  for (const [index, { from, to }] of failover.entries()) {
    if (from !== to) continue;
    const why = `${JSON.stringify(to)} is where the requests come from`;
    problems.push({ path: ["failover", index, "to"], why, hint: "name another region" });
  }
  return problems;
}
