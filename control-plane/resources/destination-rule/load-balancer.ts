import { z } from "zod";
import type { LoadBalancer, Warmup } from "../../../common/model/cluster.ts";
import type { HashPolicy } from "../../../common/model/route.ts";
import type { FieldProblem } from "../field-problem.ts";
import { below } from "../field-problem.ts";
import { durationField, durationMs } from "../fields/duration.ts";
import { integerField } from "../fields/numbers.ts";
import type { ServiceLoadBalancer } from "./compiled.ts";
import {
  compileLocality,
  compileZoneAware,
  localityField,
  validateLocality,
  zoneAwareField,
} from "./locality.ts";

const ringSizeField = integerField("a ring size", 0, 8_388_608);
const tableSizeField = integerField("a table size", 2, 5_000_011);

const consistentHash = z.strictObject({
  httpHeaderName: z.string().min(1).optional(),
  httpCookie: z
    .strictObject({
      name: z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "is not a cookie name"),
      path: z
        .string()
        .regex(/^[^;\x00-\x1f\x7f]*$/, "is not a cookie path")
        .optional()
        .describe("Of a cookie that the proxy makes."),
      ttl: durationField()
        .optional()
        .describe(
          "A request without the cookie gets one that lives so long; 0s: a session cookie. Absent: none.",
        ),
      attributes: z
        .array(
          z.strictObject({
            name: z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "is not the name of a cookie attribute"),
            value: z
              .string()
              .regex(/^[^;\x00-\x1f\x7f]*$/, "can't stand in a cookie")
              .optional()
              .describe("Absent: the name alone, such as Secure."),
          }),
        )
        .optional()
        .describe("More of a cookie that the proxy makes, such as SameSite: Lax; it is HttpOnly always."),
    })
    .optional(),
  useSourceIp: z.boolean().optional(),
  httpQueryParameterName: z.string().min(1).optional(),
  ringHash: z
    .strictObject({ minimumRingSize: ringSizeField.optional().describe("Default 1024.") })
    .optional()
    .describe("The default."),
  maglev: z
    .strictObject({ tableSize: tableSizeField.optional().describe("A prime; default 65537.") })
    .optional()
    .describe("Evener than a ring; few keys move when endpoints change."),
  minimumRingSize: ringSizeField.optional().describe("Deprecated: use ringHash.minimumRingSize."),
});

/** Istio's LoadBalancerSettings, and PEAK_EWMA. */
export const loadBalancerField = z.strictObject({
  simple: z
    .enum(["UNSPECIFIED", "ROUND_ROBIN", "LEAST_REQUEST", "RANDOM", "PEAK_EWMA", "PASSTHROUGH", "LEAST_CONN"])
    .optional()
    .describe(
      "Default LEAST_REQUEST. PEAK_EWMA, Weft's own, chooses by response time. LEAST_CONN is the deprecated name of LEAST_REQUEST.",
    ),
  consistentHash: consistentHash.optional().describe("Requests with the same key go to the same endpoint."),
  localityLbSetting: localityField.optional(),
  zoneAwareLbSetting: zoneAwareField.optional(),
  warmupDurationSecs: durationField(1).optional().describe("Deprecated: use warmup.duration."),
  warmup: z
    .strictObject({
      duration: durationField(1),
      minimumPercent: z.number().min(0).max(100).optional().describe("Default 10."),
      aggression: z.number().min(1).optional().describe("More than 1 gives more traffic early. Default 1."),
    })
    .optional()
    .describe("How an endpoint that begins to take traffic comes to its full share."),
});

type Input = z.infer<typeof loadBalancerField>;

const kinds: Readonly<Record<string, LoadBalancer["kind"]>> = {
  ROUND_ROBIN: "round-robin",
  LEAST_REQUEST: "least-request",
  LEAST_CONN: "least-request",
  RANDOM: "random",
  PEAK_EWMA: "peak-ewma",
  PASSTHROUGH: "passthrough",
};

/** Undefined when it says nothing. */
export function compileLoadBalancer(input: Input): ServiceLoadBalancer | undefined {
  const warmup = compileWarmup(input);
  const locality = compileZoneAware(input.zoneAwareLbSetting) ?? compileLocality(input.localityLbSetting);
  const kind = kinds[input.simple ?? "UNSPECIFIED"];
  if (kind === undefined && !input.consistentHash && !warmup && !locality) return undefined;
  return {
    // Istio's default, for a policy that says something else only.
    kind: kind ?? "least-request",
    ...(input.consistentHash && compileHash(input.consistentHash)),
    ...(warmup && { warmup }),
    ...(locality && { locality }),
  };
}

export function validateLoadBalancer(input: Input | undefined): FieldProblem[] {
  if (input === undefined) return [];
  const problems: FieldProblem[] = [];
  const warn = (path: FieldProblem["path"], why: string, hint: string) =>
    problems.push({ path, severity: "warning", why, hint });
  if (input.simple === "LEAST_CONN") warn(["simple"], "LEAST_CONN is deprecated", "use LEAST_REQUEST");
  if (input.simple !== undefined && input.consistentHash !== undefined) {
    problems.push({ path: ["consistentHash"], why: "stands beside simple", hint: "keep one of the two" });
  }
  const { localityLbSetting, zoneAwareLbSetting } = input;
  if (
    zoneAwareLbSetting &&
    zoneAwareLbSetting.enabled !== false &&
    localityLbSetting &&
    localityLbSetting.enabled !== false
  ) {
    const path = ["zoneAwareLbSetting"];
    problems.push({ path, why: "stands beside localityLbSetting", hint: "keep one of the two" });
  }
  if (input.warmupDurationSecs !== undefined) {
    if (input.warmup === undefined) warn(["warmupDurationSecs"], "is deprecated", "use warmup.duration");
    else problems.push({ path: ["warmupDurationSecs"], why: "stands beside warmup", hint: "keep warmup" });
  }
  const isWarming = input.warmup !== undefined || input.warmupDurationSecs !== undefined;
  if (isWarming && (input.consistentHash !== undefined || /RANDOM|PASSTHROUGH/.test(input.simple ?? ""))) {
    const field = input.warmup === undefined ? "warmupDurationSecs" : "warmup";
    warn(
      [field],
      "has no effect on this balancer",
      "use ROUND_ROBIN, LEAST_REQUEST or PEAK_EWMA, or remove it",
    );
  }
  return [
    ...problems,
    ...below(["consistentHash"], validateHash(input.consistentHash)),
    ...below(["localityLbSetting"], validateLocality(input.localityLbSetting)),
    ...below(["zoneAwareLbSetting"], validateLocality(input.zoneAwareLbSetting)),
  ];
}

function validateHash(input: Input["consistentHash"]): FieldProblem[] {
  if (input === undefined) return [];
  const problems: FieldProblem[] = [];
  const { httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName } = input;
  const keys = { httpHeaderName, httpCookie, useSourceIp: useSourceIp || undefined, httpQueryParameterName };
  const given = Object.entries(keys).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (given.length !== 1) {
    const why = given.length === 0 ? "names no key" : `names several keys: ${given.join(", ")}`;
    problems.push({ path: [], why, hint: `give one of ${Object.keys(keys).join(", ")}` });
  }
  if (input.ringHash !== undefined && input.maglev !== undefined) {
    problems.push({ path: ["maglev"], why: "stands beside ringHash", hint: "keep one of the two" });
  }
  const tableSize = input.maglev?.tableSize;
  if (tableSize !== undefined && !isPrime(tableSize)) {
    const path = ["maglev", "tableSize"];
    problems.push({ path, why: `${tableSize} is not a prime`, hint: "use 65537, or another prime" });
  }
  for (const [index, { name }] of (httpCookie?.attributes ?? []).entries()) {
    if (!["max-age", "path", "httponly"].includes(name.toLowerCase())) continue;
    const path = ["httpCookie", "attributes", index, "name"];
    const hint = name.toLowerCase() === "httponly" ? "remove it" : "use httpCookie.ttl and httpCookie.path";
    problems.push({ path, why: `the proxy writes ${name} itself`, hint });
  }
  if (input.minimumRingSize !== undefined) {
    const path = ["minimumRingSize"];
    problems.push({ path, severity: "warning", why: "is deprecated", hint: "use ringHash.minimumRingSize" });
  }
  return problems;
}

function compileHash(input: NonNullable<Input["consistentHash"]>): ServiceLoadBalancer {
  const hashPolicy = compileKey(input);
  const size = input.ringHash?.minimumRingSize ?? input.minimumRingSize;
  return {
    ...(input.maglev === undefined
      ? { kind: "ring-hash", ...(size === undefined ? {} : { minimumRingSize: size }) }
      : {
          kind: "maglev",
          ...(input.maglev.tableSize === undefined ? {} : { tableSize: input.maglev.tableSize }),
        }),
    ...(hashPolicy && { hashPolicy }),
  };
}

function compileKey(input: NonNullable<Input["consistentHash"]>): HashPolicy | undefined {
  const { httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName } = input;
  if (httpHeaderName !== undefined) return { kind: "header", name: httpHeaderName.toLowerCase() };
  if (httpCookie !== undefined) {
    const { name, path, ttl, attributes = [] } = httpCookie;
    const ttlMs = durationMs(ttl);
    return {
      kind: "cookie",
      name,
      ...(path === undefined ? {} : { path }),
      ...(ttlMs === undefined ? {} : { ttlMs }),
      ...(attributes.length > 0 && {
        attributes: attributes.map(({ name, value = "" }) => [name, value] as const),
      }),
    };
  }
  if (httpQueryParameterName !== undefined) return { kind: "query-parameter", name: httpQueryParameterName };
  return useSourceIp ? { kind: "source-ip" } : undefined;
}

function compileWarmup({ warmup, warmupDurationSecs }: Input): Warmup | undefined {
  const durationText = warmup?.duration ?? warmupDurationSecs;
  if (durationText === undefined) return undefined;
  return {
    durationMs: durationMs(durationText),
    minimumPercent: warmup?.minimumPercent ?? 10,
    aggression: warmup?.aggression ?? 1,
  };
}

function isPrime(size: number): boolean {
  for (let by = 2; by * by <= size; by++) if (size % by === 0) return false;
  return true;
}
