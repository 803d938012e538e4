import type { RateLimitKeyPart, RateLimitRule } from "../model/rate-limit.ts";
import type { Json, JsonObject } from "./weft-metadata.ts";
import { isList, member, number, text } from "./weft-metadata.ts";
import type { Reading } from "./wire.ts";

/** Travels in a route's `filter_metadata.weft`: Envoy's local rate limit has no key by path, query or workload. */
export function rateLimitsToJson(
  rules: readonly RateLimitRule[] | undefined,
): readonly JsonObject[] | undefined {
  return rules?.map(({ key, ...rest }) => ({ ...rest, key: key.map((part) => ({ ...part })) }));
}

/** Undefined when there is none. A rule that is not understood is a problem, because a limit that is left out protects nobody. */
export function rateLimitsFromJson(
  json: Json,
  path: string,
  reading: Reading,
): readonly RateLimitRule[] | undefined {
  if (json === undefined) return undefined;
  const rules = isList(json) ? json.map(ruleFromJson) : [undefined];
  if (rules.some((rule) => rule === undefined))
    reading.problem(path, "holds a rate limit that is not understood by this version");
  return rules.filter((rule) => rule !== undefined);
}

function ruleFromJson(json: Json): RateLimitRule | undefined {
  const name = text(json, "name");
  const parts = member(json, "key");
  const requests = number(json, "requests");
  const perMs = number(json, "perMs");
  const burst = number(json, "burst");
  const maxKeys = number(json, "maxKeys");
  if (name === undefined || !isList(parts)) return undefined;
  if (!requests || !perMs || !burst || !maxKeys) return undefined;
  const key = parts.map(partFromJson).filter((part) => part !== undefined);
  if (key.length !== parts.length) return undefined;
  const isGlobal = member(json, "global") === true;
  return { name, key, requests, perMs, burst, maxKeys, ...(isGlobal && { global: true }) };
}

function partFromJson(json: Json): RateLimitKeyPart | undefined {
  const kind = text(json, "kind");
  const name = text(json, "name");
  switch (kind) {
    case "header":
    case "query":
      return name === undefined ? undefined : { kind, name };
    case "path":
    case "method":
    case "host":
    case "source-address":
    case "source-workload":
    case "source-identity":
      return { kind };
    default:
      return undefined;
  }
}
