import type { BreakerFallback, CircuitBreakerPolicy } from "../model/circuit-breaker.ts";
import type { RouteAction } from "../model/route.ts";
import type { Json, JsonObject } from "./weft-metadata.ts";
import { isList, member, number, text } from "./weft-metadata.ts";
import type { Reading } from "./wire.ts";

/**
 * Envoy has no breaker by error rate with a fallback, so it travels in a route's `filter_metadata.weft`, by cluster; an Envoy
 * forwards without it.
 */
export function breakersToJson(action: RouteAction): JsonObject | undefined {
  if (action.kind !== "forward") return undefined;
  const pairs = action.destinations.flatMap(({ destination, breaker }) =>
    breaker === undefined ? [] : [[destination, policyToJson(breaker)] as const],
  );
  return pairs.length === 0 ? undefined : Object.fromEntries(pairs);
}

/** Puts the breakers that `json` holds to the destinations they name. */
export function withBreakers(action: RouteAction, json: Json, path: string, reading: Reading): RouteAction {
  if (action.kind !== "forward" || json === undefined) return action;
  const destinations = action.destinations.map((entry) => {
    const own = member(json, entry.destination);
    const breaker = own === undefined ? undefined : policyFromJson(own);
    if (own !== undefined && breaker === undefined)
      reading.problem(path, `the circuit breaker of ${entry.destination} is not understood by this version`);
    return breaker === undefined ? entry : { ...entry, breaker };
  });
  return { ...action, destinations };
}

function policyToJson({ slowCalls, errors, fallback, ...numbers }: CircuitBreakerPolicy): JsonObject {
  return {
    ...numbers,
    errors: [...errors],
    slowCalls: slowCalls && { ...slowCalls },
    fallback: fallback && fallbackToJson(fallback),
  };
}

function fallbackToJson(fallback: BreakerFallback): JsonObject {
  if (fallback.kind === "direct-response")
    return { ...fallback, headers: fallback.headers.map((pair) => [...pair]) };
  return { ...fallback };
}

function policyFromJson(json: Json): CircuitBreakerPolicy | undefined {
  const name = text(json, "name");
  const [errorRate, volumeThreshold, windowMs, resetMs, probes] = [
    "errorRate",
    "volumeThreshold",
    "windowMs",
    "resetMs",
    "probes",
  ].map((field) => number(json, field));
  const errors = texts(member(json, "errors"));
  if (
    name === undefined ||
    errorRate === undefined ||
    volumeThreshold === undefined ||
    windowMs === undefined ||
    resetMs === undefined ||
    probes === undefined ||
    errors === undefined
  )
    return undefined;
  const slow = member(json, "slowCalls");
  const rate = number(slow, "rate");
  const durationMs = number(slow, "durationMs");
  const wanted = member(json, "fallback");
  const fallback = fallbackFromJson(wanted);
  if (wanted !== undefined && fallback === undefined) return undefined;
  return {
    name,
    errorRate,
    ...(rate === undefined || durationMs === undefined ? {} : { slowCalls: { rate, durationMs } }),
    volumeThreshold,
    windowMs,
    resetMs,
    probes,
    errors,
    ...(fallback && { fallback }),
  };
}

function fallbackFromJson(json: Json): BreakerFallback | undefined {
  switch (text(json, "kind")) {
    case "direct-response": {
      const status = number(json, "status");
      const fields = member(json, "headers");
      const pairs = isList(fields) ? fields.map(texts) : undefined;
      if (status === undefined || pairs === undefined) return undefined;
      const headers = pairs.flatMap((pair) => (pair?.length === 2 ? [[pair[0]!, pair[1]!] as const] : []));
      return { kind: "direct-response", status, body: text(json, "body") ?? "", headers };
    }
    case "destination": {
      const destination = text(json, "destination");
      return destination === undefined ? undefined : { kind: "destination", destination };
    }
    case "last-good-response": {
      const maxAgeMs = number(json, "maxAgeMs");
      const maxBytes = number(json, "maxBytes");
      const vary = texts(member(json, "vary"));
      if (maxAgeMs === undefined || maxBytes === undefined || vary === undefined) return undefined;
      return { kind: "last-good-response", maxAgeMs, maxBytes, vary };
    }
    default:
      return undefined;
  }
}

function texts(json: Json): readonly string[] | undefined {
  if (!isList(json)) return undefined;
  return json.every((entry) => typeof entry === "string") ? json : undefined;
}
