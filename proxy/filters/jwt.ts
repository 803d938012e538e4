import type { JwtAuthentication, JwtProvider } from "../../common/model/authentication.ts";
import { byteString } from "../../common/routing/byte-string.ts";
import { meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { isGrpc } from "../http/grpc-status.ts";
import type { Layer } from "../http/layer.ts";
import { localReply } from "../http/reply.ts";
import type { JwksSet } from "./jwks.ts";
import { TokenPlaces } from "./token-places.ts";
import type { VerifiedToken } from "./token-verifier.ts";
import { claimedIssuer, TokenVerifier } from "./token-verifier.ts";

interface Issuer {
  readonly provider: JwtProvider;
  readonly places: TokenPlaces;
  readonly verifier: TokenVerifier;
}

/**
 * Verifies the token that a request carries, and tells policies, routes and the application what it says (Istio's RequestAuthentication).
 * Without a token a request passes: whether it may is for a policy to say. One whose token is not sound gets 401, and so does one with
 * two different tokens.
 */
export function verifyTokens({ providers }: JwtAuthentication, jwks: JwksSet): Layer {
  const issuers = providers.map((provider): Issuer => {
    const verifier = new TokenVerifier(provider, jwks.obtain(provider.keys), jwks.clock);
    return { provider, places: new TokenPlaces(provider), verifier };
  });
  const outputs = providers.flatMap(({ payloadHeader, claimHeaders }) => [
    ...(payloadHeader === undefined ? [] : [payloadHeader.toLowerCase()]),
    ...claimHeaders.map(({ header }) => header.toLowerCase()),
  ]);
  return (next) => (exchange) => {
    const found = isPreflight(exchange) ? undefined : findToken(issuers, exchange);
    // What only we may say must not come from the client.
    for (const name of outputs) exchange.headers.remove(name);
    if (found === undefined) return next(exchange);
    if (found === "several") return Promise.resolve(refuse(exchange, "Jwt is not the only one"));
    const issuer = claimedIssuer(found.token);
    if (issuer === undefined)
      return Promise.resolve(refuse(exchange, "Jwt is not in the form of Header.Payload.Signature"));
    const own = found.issuers.filter(({ verifier }) => verifier.issuer === issuer);
    if (own.length === 0) return Promise.resolve(refuse(exchange, "Jwt issuer is not configured"));
    for (const one of own) {
      const known = one.verifier.cached(found.token);
      if (known === undefined) continue;
      accept(exchange, one, known);
      return next(exchange);
    }
    return verify(exchange, own, found.token).then((why) => {
      if (exchange.cancelCause !== undefined) throw exchange.cancelCause;
      return why === undefined ? next(exchange) : refuse(exchange, why);
    });
  };
}

/** Undefined when one of the issuers stands by the token, else why the last does not. */
async function verify(
  exchange: Exchange,
  issuers: readonly Issuer[],
  token: string,
): Promise<string | undefined> {
  let why = "";
  for (const issuer of issuers) {
    const verdict = await issuer.verifier.verify(token);
    if (!("why" in verdict)) {
      accept(exchange, issuer, verdict);
      return undefined;
    }
    why = verdict.why;
  }
  return why;
}

function findToken(
  issuers: readonly Issuer[],
  exchange: Exchange,
): { readonly token: string; readonly issuers: readonly Issuer[] } | "several" | undefined {
  let token: string | undefined;
  const finders: Issuer[] = [];
  for (const issuer of issuers) {
    for (const found of issuer.places.find(exchange)) {
      if (token !== undefined && token !== found) return "several";
      token = found;
      finders.push(issuer);
    }
  }
  return token === undefined ? undefined : { token, issuers: finders };
}

function accept(exchange: Exchange, { provider, places }: Issuer, token: VerifiedToken): void {
  exchange.claims = token.claims;
  if (!provider.forwardsToken) places.remove(exchange);
  if (provider.payloadHeader !== undefined)
    exchange.headers.set(provider.payloadHeader, token.encodedPayload);
  for (const { header, claim } of provider.claimHeaders) {
    const text = headerText(token.payload, claim);
    if (text !== undefined) exchange.headers.set(header, text);
  }
}

/** Texts, numbers and booleans as they are; what has parts as base64url of its JSON, as Envoy does. Undefined for what can't be a field. */
function headerText(
  payload: Readonly<Record<string, unknown>>,
  claim: readonly string[],
): string | undefined {
  let value: unknown = payload;
  for (const key of claim) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  if (value === undefined || value === null) return undefined;
  if (typeof value === "object") return Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = byteString(String(value));
  return /[^\t\x20-\x7e\x80-\xff]/.test(text) ? undefined : text;
}

function refuse(exchange: Exchange, why: string): Response {
  exchange.denial = `token refused: ${why}`;
  const detail = `jwt_authn_access_denied{${why.replaceAll(" ", "_")}}`;
  const response = localReply(exchange, meshError("invalid_token", detail));
  const realm = `${exchange.scheme}://${exchange.authority}${exchange.path.split("?")[0]}`.replaceAll(
    /["\\]/g,
    "",
  );
  response.headers.add("www-authenticate", `Bearer realm="${realm}", error="invalid_token"`);
  if (isGrpc(exchange)) return response;
  const body = Buffer.from(why);
  response.headers.set("content-length", String(body.length));
  return { ...response, body: Body.of(body) };
}

/** Browsers ask without credentials (Envoy's bypass_cors_preflight, which Istio sets). */
function isPreflight({ method, headers }: Exchange): boolean {
  return method === "OPTIONS" && headers.has("origin") && headers.has("access-control-request-method");
}
