import { meshError } from "../errors.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import type { Service } from "../http/layer.ts";
import { localReply } from "../http/reply.ts";
import type { Filter } from "./filter.ts";
import { Limiter } from "./limiter.ts";
import type { SharedLimiter } from "./shared-limiter.ts";

/**
 * Lets a request pass when each of the route's rules has a token for it, else answers 429 (own kind RateLimit). Every answer says
 * what is left in the tightest bucket, by draft-ietf-httpapi-ratelimit-headers: `RateLimit` and `RateLimit-Policy`. Flag RL.
 */
export const rateLimit: Filter = {
  name: "rate-limit",
  build({ rateLimits }, { limiters, clock }) {
    if (rateLimits === undefined || rateLimits.length === 0) return undefined;
    const own = rateLimits.map((rule) => limiters?.obtain(rule) ?? new Limiter(rule, clock));
    const policies = own.map(({ rule }) => policyOf(rule)).join(", ");
    const judge = (next: Service, exchange: Exchange, keys: readonly string[], waits: number) => {
      const refusing = own.findIndex((limiter, index) => !limiter.mayPass(keys[index]!));
      if (refusing !== -1) {
        const limiter = own[refusing]!;
        const key = keys[refusing]!;
        const settled = waits > 0 && "settled" in limiter ? limiter.settled(key) : undefined;
        if (settled !== undefined)
          return settled.then((): Promise<Response> => judge(next, exchange, keys, waits - 1));
        limiter.refused(key);
        return Promise.resolve(refuse(exchange, limiter, key, policies));
      }
      for (const [index, limiter] of own.entries()) limiter.take(keys[index]!);
      return next(exchange).then((response) => {
        tell(response, tightest(own, keys), policies);
        return response;
      });
    };
    return (next) => (exchange) =>
      judge(
        next,
        exchange,
        own.map((limiter) => limiter.keyOf(exchange)),
        own.length,
      );
  },
};

type AnyLimiter = Limiter | SharedLimiter;

function refuse(exchange: Exchange, limiter: AnyLimiter, key: string, policies: string): Response {
  const response = localReply(exchange, meshError("rate_limited", "local_rate_limited"));
  const quota = limiter.quota(key);
  // Envoy's, by which retries know such an answer (retry_on envoy-ratelimited).
  response.headers.add("x-envoy-ratelimited", "true");
  response.headers.add("retry-after", String(Math.max(1, quota.retrySeconds)));
  tell(response, { name: limiter.rule.name, ...quota }, policies);
  return response;
}

function tightest(limiters: readonly AnyLimiter[], keys: readonly string[]) {
  return limiters
    .map((limiter, index) => ({ name: limiter.rule.name, ...limiter.quota(keys[index]!) }))
    .reduce((one, other) => (other.remaining < one.remaining ? other : one));
}

/** What a service behind says of its own limits stays beside it: both fields are lists. */
function tell(
  { headers, status }: Response,
  { name, remaining, resetSeconds }: ReturnType<typeof tightest>,
  policies: string,
): void {
  if (status === 101) return;
  headers.add("RateLimit-Policy", policies);
  headers.add("RateLimit", `"${name}";r=${remaining};t=${resetSeconds}`);
}

function policyOf({ name, burst, perMs, requests }: Limiter["rule"]): string {
  // The quota is what may come at once; the window is the time in which that much comes back.
  return `"${name}";q=${burst};w=${Math.max(1, Math.ceil((burst * perMs) / requests / 1000))}`;
}
