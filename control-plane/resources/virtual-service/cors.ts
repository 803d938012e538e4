import { z } from "zod";
import type { CorsPolicy } from "../../../common/model/route.ts";
import type { StringMatch } from "../../../common/model/string-match.ts";
import { durationField, durationMs } from "../fields/duration.ts";
import { isHeaderName } from "../fields/header-operations.ts";
import { compileStringMatch, stringMatchField } from "../fields/string-match.ts";

const methods = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "CONNECT",
  "OPTIONS",
  "TRACE",
  "*",
] as const;

const headerName = z.string().superRefine((name, context) => {
  if (!isHeaderName(name))
    context.addIssue({ code: "custom", message: `${JSON.stringify(name)} is not a header name` });
});

const origin = stringMatchField.superRefine((match, context) => {
  if (match.exact === "") context.addIssue({ code: "custom", message: "an empty origin never matches" });
});

const maxAge = durationField().superRefine((text, context) => {
  if (durationMs(text) % 1000 === 0) return;
  const params = { hint: "Access-Control-Max-Age counts whole seconds" };
  context.addIssue({ code: "custom", message: `${JSON.stringify(text)} is not whole seconds`, params });
});

/** Istio's CorsPolicy. */
export const corsPolicyField = z.strictObject({
  allowOrigins: z.array(origin).optional(),
  allowOrigin: z
    .array(z.string().min(1))
    .optional()
    .describe('Deprecated, use allowOrigins; "*" allows every origin.'),
  allowMethods: z.array(z.enum(methods)).optional(),
  allowHeaders: z.array(headerName).optional(),
  exposeHeaders: z.array(headerName).optional(),
  maxAge: maxAge.optional(),
  allowCredentials: z.boolean().optional(),
  unmatchedPreflights: z
    .enum(["UNSPECIFIED", "FORWARD", "IGNORE"])
    .optional()
    .describe("Preflight requests of other origins; default FORWARD."),
});

/** The origin `exact: "*"` means every origin, as in Envoy. */
export function compileCors(cors: z.infer<typeof corsPolicyField>): CorsPolicy {
  const origins = (cors.allowOrigins ?? []).flatMap((match) => compileStringMatch(match) ?? []);
  const deprecated = (cors.allowOrigin ?? []).map((value): StringMatch => ({ kind: "exact", value }));
  return {
    allowOrigins: origins.length > 0 ? origins : deprecated,
    allowMethods: cors.allowMethods ?? [],
    allowHeaders: cors.allowHeaders ?? [],
    exposeHeaders: cors.exposeHeaders ?? [],
    ...(cors.maxAge === undefined ? {} : { maxAgeSeconds: durationMs(cors.maxAge) / 1000 }),
    allowCredentials: cors.allowCredentials ?? false,
    forwardUnmatchedPreflights: cors.unmatchedPreflights !== "IGNORE",
  };
}
