import { z } from "zod";
import { durationField } from "../fields/duration.ts";
import { isHeaderName } from "../fields/header-operations.ts";
import { notYet } from "../fields/not-yet.ts";
import { workloadSelectorField } from "../fields/selector.ts";

const headerName = z.string().superRefine((name, context) => {
  if (isHeaderName(name)) return;
  context.addIssue({ code: "custom", message: `${JSON.stringify(name)} is not a header name` });
});

const keySet = z.string().superRefine((text, context) => {
  const why = keySetProblem(text);
  if (why !== undefined)
    context.addIssue({ code: "custom", message: why, params: { hint: '{"keys":[…]} with public keys' } });
});

const address = z.string().superRefine((text, context) => {
  if (/^https?:\/\/[^/\s]+/.test(text) && URL.canParse(text)) return;
  const params = { hint: "write https://ISSUER/.well-known/jwks.json" };
  context.addIssue({ code: "custom", message: `${JSON.stringify(text)} is not an http address`, params });
});

const jwtRule = z.strictObject({
  issuer: z.string().min(1).describe("What iss of a token must be."),
  audiences: z
    .array(z.string().min(1))
    .optional()
    .describe("One must be among aud of the token; absent: any."),
  jwksUri: address
    .optional()
    .describe("Where the issuer's public keys are; an address that is not public must be in jwksNetworks."),
  jwks: keySet.optional().describe("The issuer's public keys themselves."),
  fromHeaders: z
    .array(z.strictObject({ name: headerName, prefix: z.string().optional() }))
    .optional()
    .describe(
      "Headers that may hold a token. Default, when no place is named: Authorization with Bearer, and access_token.",
    ),
  fromParams: z.array(z.string().min(1)).optional().describe("Query parameters that may hold a token."),
  fromCookies: z.array(z.string().min(1)).optional().describe("Cookies that may hold a token."),
  outputPayloadToHeader: headerName
    .optional()
    .describe("Header in which the application gets the payload, base64url."),
  forwardOriginalToken: z
    .boolean()
    .optional()
    .describe("Whether the application gets the token too. Default false."),
  outputClaimToHeaders: z
    .array(z.strictObject({ header: headerName, claim: z.string().min(1) }))
    .optional()
    .describe("Headers in which the application gets claims; a.b is the claim b inside of a."),
  timeout: durationField(1).optional().describe("How long jwksUri is waited for. Default 5s."),
  spaceDelimitedClaims: z
    .array(z.string().min(1))
    .optional()
    .describe("Claims whose text is a list of words. Default scope and permission."),
});

export const requestAuthenticationSpec = z.strictObject({
  selector: workloadSelectorField
    .optional()
    .describe("Which workloads verify; absent: all of the namespace, or of the mesh in the root namespace."),
  targetRef: notYet("use selector"),
  targetRefs: notYet("use selector"),
  jwtRules: z
    .array(jwtRule)
    .optional()
    .describe(
      "Issuers whose tokens are believed. A request without a token passes; an AuthorizationPolicy may ask for one.",
    ),
});

export type RequestAuthenticationSpec = z.infer<typeof requestAuthenticationSpec>;

/** Why a text is no set of public keys. */
function keySetProblem(text: string): string | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return "is not JSON";
  }
  const keys =
    typeof document === "object" && document !== null && "keys" in document ? document.keys : undefined;
  if (!Array.isArray(keys) || keys.length === 0) return "holds no keys";
  const kinds = keys.map((key: unknown) =>
    typeof key === "object" && key !== null && "kty" in key ? key.kty : undefined,
  );
  if (kinds.includes("oct")) return "holds a shared secret (kty oct), which is not supported";
  return kinds.every((kind) => kind === "RSA" || kind === "EC" || kind === "OKP")
    ? undefined
    : "holds a key without a known kty";
}
