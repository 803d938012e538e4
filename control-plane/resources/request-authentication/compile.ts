import type { JwtProvider } from "../../../common/model/authentication.ts";
import { durationMs } from "../fields/duration.ts";
import { compileLabels } from "../fields/labels.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledRequestAuthentication } from "./compiled.ts";
import type { RequestAuthenticationSpec } from "./schema.ts";

/** Istio's. */
const defaultTimeoutMs = 5_000;

export function compileRequestAuthentication(
  { selector, jwtRules = [] }: RequestAuthenticationSpec,
  context: SpecContext,
): CompiledRequestAuthentication {
  return {
    kind: "RequestAuthentication",
    selector: compileLabels(selector?.matchLabels),
    providers: jwtRules.map(
      (rule, index): JwtProvider => ({
        name: `${context.namespace}/${context.name}/${index}`,
        source: context.sourceOf(["jwtRules", index]),
        issuer: rule.issuer,
        audiences: rule.audiences ?? [],
        keys:
          rule.jwks !== undefined
            ? { kind: "inline", jwks: rule.jwks }
            : {
                kind: "remote",
                uri: rule.jwksUri ?? "",
                timeoutMs: durationMs(rule.timeout) ?? defaultTimeoutMs,
                networks: [],
              },
        fromHeaders: (rule.fromHeaders ?? []).map(({ name, prefix = "" }) => ({
          name: name.toLowerCase(),
          prefix,
        })),
        fromParams: rule.fromParams ?? [],
        fromCookies: rule.fromCookies ?? [],
        forwardsToken: rule.forwardOriginalToken === true,
        ...(rule.outputPayloadToHeader === undefined ? {} : { payloadHeader: rule.outputPayloadToHeader }),
        claimHeaders: (rule.outputClaimToHeaders ?? []).map(({ header, claim }) => ({
          header,
          claim: claim.split("."),
        })),
        ...(rule.spaceDelimitedClaims === undefined
          ? {}
          : { spaceDelimitedClaims: rule.spaceDelimitedClaims }),
      }),
    ),
  };
}
