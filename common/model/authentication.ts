import type { Source } from "./source.ts";

/** Whose tokens are believed (Envoy's jwt_authn). A request without a token passes; one with a token that is not sound does not. */
export interface JwtAuthentication {
  readonly providers: readonly JwtProvider[];
}

/** One issuer of tokens (Istio's JWTRule). */
export interface JwtProvider {
  /** Unique: `origins-0`, as Istio numbers them. */
  readonly name: string;
  readonly source?: Source;
  readonly issuer: string;
  /** At least one must be among the token's; empty: any will do. */
  readonly audiences: readonly string[];
  readonly keys: JwtKeys;
  /** Where tokens are looked for; all empty: `Authorization: Bearer` and the parameter `access_token`. */
  readonly fromHeaders: readonly JwtHeader[];
  readonly fromParams: readonly string[];
  readonly fromCookies: readonly string[];
  /** Whether the application gets the token too. */
  readonly forwardsToken: boolean;
  /** Gets the payload as base64url. */
  readonly payloadHeader?: string;
  readonly claimHeaders: readonly { readonly header: string; readonly claim: readonly string[] }[];
  /** Claims whose text is a list of words, such as `scope`; absent: scope and permission. */
  readonly spaceDelimitedClaims?: readonly string[];
}

export interface JwtHeader {
  /** Lower case. */
  readonly name: string;
  /** What stands before the token, such as "Bearer "; "" for nothing. */
  readonly prefix: string;
}

/** `inline`: a JWKS document. */
export type JwtKeys =
  | { readonly kind: "inline"; readonly jwks: string }
  | {
      readonly kind: "remote";
      readonly uri: string;
      readonly timeoutMs: number;
      /**
       * CIDRs of not-public addresses from which keys may be fetched all the same: others are refused, because whoever may write a
       * resource could make every proxy ask the inside of the network (CVE-2026-41413).
       */
      readonly networks: readonly string[];
    };

/** Where tokens are looked for that name no place. */
export const defaultJwtHeader: JwtHeader = Object.freeze({ name: "authorization", prefix: "Bearer " });
export const defaultJwtParam = "access_token";

/** Claims that OAuth writes as one text. */
export const defaultSpaceDelimitedClaims: readonly string[] = Object.freeze(["scope", "permission"]);

/** The payload of a verified token. */
export type TokenClaims = Readonly<Record<string, unknown>>;
