import type { Clock } from "../../common/base/clock.ts";
import type { JwtProvider, TokenClaims } from "../../common/model/authentication.ts";
import { defaultSpaceDelimitedClaims } from "../../common/model/authentication.ts";
import { jose } from "./jose.ts";
import { hasDuplicateKeys } from "./json-keys.ts";
import type { FindKey, Jwks } from "./jwks.ts";

/** What a sound token says. */
export interface VerifiedToken {
  /** As sent. */
  readonly payload: TokenClaims;
  /** With lists where the provider says that a text is one. */
  readonly claims: TokenClaims;
  /** The payload's part of the token, base64url. */
  readonly encodedPayload: string;
}

/** Or why not, in Envoy's words: the client reads it. */
export type TokenVerdict = VerifiedToken | { readonly why: string };

/** Asymmetric ones only: with a shared secret a public key could be taken for one, and none is none. */
const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
/** Envoy's. */
const clockSkewSeconds = 60;
const maxTokenLength = 16 * 1024;
const maxCached = 1_000;

/** Verifies one issuer's tokens and remembers those that were sound until they expire. */
export class TokenVerifier {
  readonly #provider: JwtProvider;
  readonly #jwks: Jwks;
  readonly #clock: Clock;
  readonly #words: readonly string[];
  #cache = new Map<
    string,
    { readonly token: VerifiedToken; readonly expiresAt: number; readonly notBefore: number }
  >();
  #cachedVersion = 0;

  constructor(provider: JwtProvider, jwks: Jwks, clock: Clock) {
    this.#provider = provider;
    this.#jwks = jwks;
    this.#clock = clock;
    this.#words = provider.spaceDelimitedClaims ?? defaultSpaceDelimitedClaims;
  }

  get issuer(): string {
    return this.#provider.issuer;
  }

  /** What is known of the token already. */
  cached(token: string): VerifiedToken | undefined {
    if (this.#cachedVersion !== this.#jwks.version) {
      this.#cache = new Map();
      this.#cachedVersion = this.#jwks.version;
      return undefined;
    }
    const known = this.#cache.get(token);
    if (known === undefined) return undefined;
    const now = this.#clock.now() / 1000;
    return now < known.expiresAt && now >= known.notBefore ? known.token : undefined;
  }

  async verify(token: string): Promise<TokenVerdict> {
    if (token.length > maxTokenLength) return { why: "Jwt is too large" };
    const find = await this.#jwks.current();
    if (find === undefined) return { why: "Jwks remote fetch is failed" };
    try {
      return await this.#verifyWith(find, token);
    } catch (thrown) {
      if (!(thrown instanceof jose().errors.JWKSNoMatchingKey)) return { why: whyOf(thrown) };
    }
    // The issuer may have begun to use a new key.
    const others = (await this.#jwks.refetch()) ? await this.#jwks.current() : undefined;
    if (others === undefined) return { why: "Jwks doesn't have key to match kid or alg from Jwt" };
    return this.#verifyWith(others, token).catch((thrown: unknown) => ({ why: whyOf(thrown) }));
  }

  async #verifyWith(find: FindKey, token: string): Promise<TokenVerdict> {
    const { audiences, issuer } = this.#provider;
    const options = {
      algorithms,
      issuer,
      clockTolerance: clockSkewSeconds,
      currentDate: new Date(this.#clock.now()),
      ...(audiences.length > 0 ? { audience: [...audiences] } : {}),
    };
    const { errors, jwtVerify } = jose();
    const { payload } = await jwtVerify(token, find, options).catch(async (thrown: unknown) => {
      if (!(thrown instanceof errors.JWKSMultipleMatchingKeys)) throw thrown;
      // No key id, several keys: any of them may be the one.
      for await (const key of thrown) {
        try {
          return await jwtVerify(token, key, options);
        } catch (inner) {
          if (!(inner instanceof errors.JWSSignatureVerificationFailed)) throw inner;
        }
      }
      throw new errors.JWSSignatureVerificationFailed();
    });
    const encodedPayload = token.split(".")[1]!;
    if (hasDuplicateKeys(Buffer.from(encodedPayload, "base64url").toString("utf8")))
      return { why: "Jwt payload names a claim twice" };
    const verified = { payload, claims: withLists(payload, this.#words), encodedPayload };
    this.#remember(token, verified);
    return verified;
  }

  #remember(token: string, verified: VerifiedToken): void {
    const { exp, nbf } = verified.payload;
    const expiresAt = typeof exp === "number" ? exp + clockSkewSeconds : Number.POSITIVE_INFINITY;
    const notBefore = typeof nbf === "number" ? nbf - clockSkewSeconds : 0;
    if (this.#cache.size >= maxCached) this.#cache.delete(this.#cache.keys().next().value!);
    this.#cache.set(token, { token: verified, expiresAt, notBefore });
  }
}

/** The issuer that a token names, before anything of it is believed; undefined when it is no token. */
export function claimedIssuer(token: string): string | undefined {
  const parts = token.split(".");
  if (parts.length !== 3 || token.length > maxTokenLength) return undefined;
  try {
    const payload: unknown = JSON.parse(Buffer.from(parts[1]!, "base64url").toString("utf8"));
    if (typeof payload !== "object" || payload === null) return undefined;
    const issuer = Object.hasOwn(payload, "iss") ? (payload as { iss: unknown }).iss : "";
    return typeof issuer === "string" ? issuer : undefined;
  } catch {
    return undefined;
  }
}

function withLists(payload: TokenClaims, names: readonly string[]): TokenClaims {
  const lists = names.flatMap((name) => {
    const value = Object.hasOwn(payload, name) ? payload[name] : undefined;
    return typeof value === "string" ? [[name, value.split(" ").filter((word) => word !== "")] as const] : [];
  });
  return lists.length === 0 ? payload : { ...payload, ...Object.fromEntries(lists) };
}

function whyOf(thrown: unknown): string {
  const { errors } = jose();
  if (thrown instanceof errors.JWTExpired) return "Jwt is expired";
  if (thrown instanceof errors.JWTClaimValidationFailed) {
    if (thrown.claim === "nbf") return "Jwt not yet valid";
    if (thrown.claim === "aud") return "Audiences in Jwt are not allowed";
    if (thrown.claim === "iss") return "Jwt issuer is not configured";
    return `Jwt claim ${thrown.claim} is not sound`;
  }
  if (thrown instanceof errors.JWKSNoMatchingKey) return "Jwks doesn't have key to match kid or alg from Jwt";
  if (thrown instanceof errors.JOSEAlgNotAllowed || thrown instanceof errors.JOSENotSupported)
    return "Jwt header [alg] is not supported";
  if (thrown instanceof errors.JWSInvalid || thrown instanceof errors.JWTInvalid)
    return "Jwt is not in the form of Header.Payload.Signature";
  return "Jwt verification fails";
}
