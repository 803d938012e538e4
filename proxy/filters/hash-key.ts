import { addressHash } from "../../common/base/address-hash.ts";
import type { Hash64 } from "../../common/base/xxhash64.ts";
import { hashText, xxHash64 } from "../../common/base/xxhash64.ts";
import type { HashPolicy } from "../../common/model/route.ts";
import { queryParam } from "../../common/routing/request-view.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import type { Filter } from "./filter.ts";

/**
 * Makes the key by which clusters with consistent hashing choose (Envoy's hash_policy, and its numbers: the same request has the same
 * key there). A request that has nothing of what the policies ask for has no key, and goes anywhere.
 */
export const hashKey: Filter = {
  name: "hash-key",
  build({ action }) {
    const policies = action.kind === "forward" ? action.hashPolicies : undefined;
    if (policies === undefined || policies.length === 0) return undefined;
    const parts = policies.map(compilePart);
    return (next) => (exchange) => {
      const cookies: string[] = [];
      let key: Hash64 | undefined;
      for (const part of parts) {
        const own = part(exchange, cookies);
        if (own !== undefined) key = key === undefined ? own : combine(key, own);
      }
      exchange.hashKey = key;
      const answer = next(exchange);
      return cookies.length === 0 ? answer : answer.then((response) => withCookies(response, cookies));
    };
  },
};

/** The part's hash, when the request has it. `cookies` takes Set-Cookie values for the response. */
type KeyPart = (exchange: Exchange, cookies: string[]) => Hash64 | undefined;

function compilePart(policy: HashPolicy): KeyPart {
  switch (policy.kind) {
    case "header":
      return headerPart(policy.name);
    case "cookie":
      return cookiePart(policy);
    case "source-ip":
      return ({ downstream }) => addressHash(downstream.remote.host);
    case "query-parameter":
      return ({ path }) => {
        const value = queryParam(path, policy.name);
        return value === undefined ? undefined : xxHash64(value);
      };
  }
}

function headerPart(name: string): KeyPart {
  if (name === ":authority" || name === "host") return ({ authority }) => xxHash64(authority);
  if (name === ":path") return ({ path }) => xxHash64(path);
  if (name === ":method") return ({ method }) => xxHash64(method);
  return ({ headers }) => {
    const first = headers.get(name);
    if (first === undefined) return undefined;
    const values = valuesOf(headers.raw, name);
    // In whatever order the values come; each one's hash is the seed of the next.
    let hash = xxHash64((values.length === 1 ? values : values.sort())[0]!);
    for (let i = 1; i < values.length; i++) hash = xxHash64(values[i]!, hash);
    return hash;
  };
}

function valuesOf(raw: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < raw.length; i += 2) if (raw[i]!.toLowerCase() === name) values.push(raw[i + 1]!);
  return values;
}

type CookiePolicy = Extract<HashPolicy, { readonly kind: "cookie" }>;

function cookiePart({ name, path, ttlMs, attributes: more = [] }: CookiePolicy): KeyPart {
  const attributes = [
    ...(ttlMs === undefined || ttlMs < 1_000 ? [] : [`Max-Age=${Math.floor(ttlMs / 1_000)}`]),
    ...(path === undefined || path === "" ? [] : [`Path=${path}`]),
    ...more.map(([attribute, value]) => (value === "" ? attribute : `${attribute}=${value}`)),
    "HttpOnly",
  ].join("; ");
  return (exchange, cookies) => {
    const value = cookieValue(exchange, name);
    if (value !== undefined) return xxHash64(value);
    if (ttlMs === undefined) return undefined;
    // The connection's two ends, as in Envoy: the first requests of one client come out alike before it knows the cookie.
    const { remote, local } = exchange.downstream;
    const made = hashText(xxHash64(`${remote.host}:${remote.port}${local.host}:${local.port}`));
    cookies.push(`${name}=${made}; ${attributes}`);
    return xxHash64(made);
  };
}

/** Undefined when the cookie is absent or empty. */
function cookieValue({ headers }: Exchange, name: string): string | undefined {
  for (const line of valuesOf(headers.raw, "cookie")) {
    for (const pair of line.split(";")) {
      const equals = pair.indexOf("=");
      if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
      const value = pair.slice(equals + 1).trim();
      const bare =
        value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
      if (bare !== "") return bare;
    }
  }
  return undefined;
}

/** The old key turned by one bit, so that two equal parts do not cancel each other out. */
function combine({ hi, lo }: Hash64, own: Hash64): Hash64 {
  return {
    hi: (((hi << 1) | (lo >>> 31)) ^ own.hi) >>> 0,
    lo: (((lo << 1) | (hi >>> 31)) ^ own.lo) >>> 0,
  };
}

function withCookies(response: Response, cookies: readonly string[]): Response {
  for (const cookie of cookies) response.headers.add("Set-Cookie", cookie);
  return response;
}
