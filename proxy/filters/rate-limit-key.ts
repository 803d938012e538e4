import { hash } from "node:crypto";
import type { RateLimitKeyPart, RateLimitRule } from "../../common/model/rate-limit.ts";
import { pathEnd, queryParam } from "../../common/routing/request-view.ts";
import type { Exchange } from "../http/exchange.ts";

/** What tells a request's bucket from others of its rule. */
export function keyOf({ key }: RateLimitRule, exchange: Exchange): string {
  if (key.length === 0) return "";
  const text =
    key.length === 1 ? part(key[0]!, exchange) : JSON.stringify(key.map((each) => part(each, exchange)));
  // A key as long as a header may be would cost memory beyond what the number of keys promises.
  return text.length > longestKey ? hash("sha256", text) : text;
}

const longestKey = 128;

function part(key: RateLimitKeyPart, exchange: Exchange): string {
  switch (key.kind) {
    case "header":
      return exchange.header(key.name) ?? "";
    case "query":
      return queryParam(exchange.path, key.name) ?? "";
    case "path":
      return exchange.path.slice(0, pathEnd(exchange.path));
    case "method":
      return exchange.method;
    case "host":
      return exchange.authority.toLowerCase();
    case "source-address":
      return exchange.downstream.remote.host;
    case "source-workload":
      return exchange.peer === undefined ? "" : `${exchange.peer.namespace}/${exchange.peer.name}`;
    case "source-identity":
      return exchange.downstream.peer?.spiffeId ?? "";
  }
}
