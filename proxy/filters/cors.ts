import type { CorsPolicy } from "../../common/model/route.ts";
import { StringTest } from "../../common/routing/string-test.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { Filter } from "./filter.ts";
import { localResponse } from "./local-response.ts";

/** Answers preflight requests and marks responses for allowed origins (Istio's corsPolicy, the Fetch standard's CORS protocol). */
export const cors: Filter = {
  name: "cors",
  build({ cors: policy }) {
    if (policy === undefined) return undefined;
    const isAllowed = compileOrigins(policy);
    const preflightFields = preflightFieldsOf(policy);
    return (next) => async (exchange) => {
      const origin = exchange.headers.get("origin");
      if (origin === undefined) return withVary(await next(exchange));
      const allowed = isAllowed(origin);
      const isPreflight =
        exchange.method === "OPTIONS" && exchange.headers.has("access-control-request-method");
      if (isPreflight && (allowed || !policy.forwardUnmatchedPreflights)) {
        const fields = allowed ? ["access-control-allow-origin", origin, ...preflightFields] : [];
        return localResponse(exchange, "cors_response", 200, [...fields, "vary", "Origin"]);
      }
      const response = await next(exchange);
      if (allowed && !isPreflight) allow(response.headers, origin, policy);
      return withVary(response);
    };
  },
};

function compileOrigins({ allowOrigins }: CorsPolicy): (origin: string) => boolean {
  if (allowOrigins.some(({ kind, value }) => kind === "exact" && value === "*")) return () => true;
  const tests = allowOrigins.map((match) => new StringTest(match));
  return (origin) => tests.some((test) => test.test(origin));
}

function preflightFieldsOf(policy: CorsPolicy): readonly string[] {
  const fields: string[] = [];
  if (policy.allowCredentials) fields.push("access-control-allow-credentials", "true");
  if (policy.allowMethods.length > 0)
    fields.push("access-control-allow-methods", policy.allowMethods.join(","));
  if (policy.allowHeaders.length > 0)
    fields.push("access-control-allow-headers", policy.allowHeaders.join(","));
  if (policy.maxAgeSeconds !== undefined) fields.push("access-control-max-age", String(policy.maxAgeSeconds));
  return fields;
}

/** Replaces what the upstream said of CORS: the mesh's policy is the one that counts. */
function allow(headers: HeaderList, origin: string, policy: CorsPolicy): void {
  headers.set("access-control-allow-origin", origin);
  if (policy.allowCredentials) headers.set("access-control-allow-credentials", "true");
  if (policy.exposeHeaders.length > 0)
    headers.set("access-control-expose-headers", policy.exposeHeaders.join(","));
}

/** The answer depends on Origin even when there is none, so a shared cache must not give it to another one's page. */
function withVary<R extends { readonly headers: HeaderList }>(response: R): R {
  const vary = response.headers.joined("vary");
  const names = vary?.split(",").map((name) => name.trim().toLowerCase());
  if (names === undefined || !(names.includes("origin") || names.includes("*")))
    response.headers.add("vary", "Origin");
  return response;
}
