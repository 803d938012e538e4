import type { JwtAuthentication, JwtProvider } from "../model/authentication.ts";
import { payloadKey } from "./claim-matcher.ts";
import type messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";
import { fromDuration, toDuration } from "./wire.ts";

type WireJwt = messages.envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication;
type WireProvider = messages.envoy.extensions.filters.http.jwt_authn.v3.JwtProvider;
type Requirement = messages.envoy.extensions.filters.http.jwt_authn.v3.JwtRequirement;

const room = "envoy.extensions.filters.http.jwt_authn.v3";
export const jwtType = `${room}.JwtAuthentication`;

/** As Istio writes it: one rule for every path, by which a token of any provider does and none does, too. */
export function toJwt({ providers }: JwtAuthentication): WireJwt {
  const anyProvider: Requirement[] = providers.map(({ name }) => ({ providerName: name }));
  return {
    providers: Object.fromEntries(providers.map((provider) => [provider.name, toProvider(provider)])),
    rules: [
      {
        match: { prefix: "/" },
        requires: { requiresAny: { requirements: [...anyProvider, { allowMissing: {} }] } },
      },
    ],
    bypassCorsPreflight: true,
  };
}

function toProvider(provider: JwtProvider): WireProvider {
  const { keys } = provider;
  return {
    issuer: provider.issuer,
    audiences: [...provider.audiences],
    ...(keys.kind === "inline"
      ? { localJwks: { inlineString: keys.jwks } }
      : {
          remoteJwks: {
            // Envoy fetches through a cluster, which is then to be made by who runs it.
            httpUri: { uri: keys.uri, cluster: clusterOf(keys.uri), timeout: toDuration(keys.timeoutMs) },
            cacheDuration: toDuration(jwksCacheMs),
            asyncFetch: {},
          },
        }),
    forward: provider.forwardsToken,
    fromHeaders: provider.fromHeaders.map(({ name, prefix }) => ({ name, valuePrefix: prefix })),
    fromParams: [...provider.fromParams],
    fromCookies: [...provider.fromCookies],
    ...(provider.payloadHeader === undefined ? {} : { forwardPayloadHeader: provider.payloadHeader }),
    payloadInMetadata: payloadKey,
    claimToHeaders: provider.claimHeaders.map(({ header, claim }) => ({
      headerName: header,
      claimName: claim.join("."),
    })),
    ...(provider.spaceDelimitedClaims === undefined
      ? {}
      : { normalizePayloadInMetadata: { spaceDelimitedClaims: [...provider.spaceDelimitedClaims] } }),
  };
}

/** `networks`: from the chain's weft metadata. A requirement that is not the one we write is a problem: it may ask for more. */
export function fromJwt(
  wire: WireJwt,
  networks: readonly string[],
  path: string,
  reading: Reading,
): JwtAuthentication {
  reading.refuseUnknown(wire, jwtType, path);
  const names = Object.keys(wire.providers ?? {});
  const [rule, ...others] = wire.rules ?? [];
  const required = rule?.requires?.requiresAny?.requirements ?? [];
  const isUsual =
    others.length === 0 &&
    rule?.match?.prefix === "/" &&
    required.some(({ allowMissing }) => allowMissing) &&
    required.every(({ allowMissing, providerName }) => allowMissing || names.includes(providerName ?? ""));
  if (!isUsual)
    reading.problem(
      `${path}.rules`,
      "must be one for every path by which each provider does, and no token does",
    );
  return {
    providers: Object.entries(wire.providers ?? {}).map(([name, provider]) =>
      fromProvider(name, provider, networks, `${path}.providers[${JSON.stringify(name)}]`, reading),
    ),
  };
}

function fromProvider(
  name: string,
  wire: WireProvider,
  networks: readonly string[],
  path: string,
  reading: Reading,
): JwtProvider {
  reading.refuseUnknown(wire, `${room}.JwtProvider`, path);
  const { httpUri } = wire.remoteJwks ?? {};
  const inline = wire.localJwks?.inlineString;
  if (!httpUri?.uri && !inline) reading.problem(path, "has neither local_jwks as text nor remote_jwks");
  const words = wire.normalizePayloadInMetadata?.spaceDelimitedClaims;
  return {
    name,
    issuer: wire.issuer ?? "",
    audiences: wire.audiences ?? [],
    keys: httpUri?.uri
      ? {
          kind: "remote",
          uri: httpUri.uri,
          timeoutMs: httpUri.timeout ? fromDuration(httpUri.timeout) : 5_000,
          networks,
        }
      : { kind: "inline", jwks: inline ?? "" },
    fromHeaders: (wire.fromHeaders ?? []).map((header) => ({
      name: (header.name ?? "").toLowerCase(),
      prefix: header.valuePrefix ?? "",
    })),
    fromParams: wire.fromParams ?? [],
    fromCookies: wire.fromCookies ?? [],
    forwardsToken: wire.forward === true,
    ...(wire.forwardPayloadHeader ? { payloadHeader: wire.forwardPayloadHeader } : {}),
    claimHeaders: (wire.claimToHeaders ?? []).map(({ headerName, claimName }) => ({
      header: headerName ?? "",
      claim: (claimName ?? "").split("."),
    })),
    ...(words ? { spaceDelimitedClaims: words } : {}),
  };
}

/** Istio's PILOT_JWT_PUB_KEY_REFRESH_INTERVAL. */
const jwksCacheMs = 20 * 60_000;

/** The name that Istio gives to the cluster of a service; for a host outside of the mesh it is as good as any. */
function clusterOf(uri: string): string {
  const { hostname, port, protocol } = new URL(uri);
  return `outbound|${port || (protocol === "https:" ? 443 : 80)}||${hostname}`;
}
