import type { ClientTls, ServerTls } from "../model/tls.ts";
import messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";

type CommonContext = messages.envoy.extensions.transport_sockets.tls.v3.CommonTlsContext;
type SanMatcher = messages.envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher;

const { SanType } = messages.envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher;
const { TlsProtocol } = messages.envoy.extensions.transport_sockets.tls.v3.TlsParameters;

/**
 * The names under which Istio's agents give a proxy its own certificate and the roots of the mesh. Where they come from is not said: our
 * proxies have them, and a foreign Envoy needs them among the static secrets of its bootstrap.
 */
const secrets = { certificate: "default", roots: "ROOTCA" };

/** Offered in handshakes within the mesh, before what is spoken, so that the other end knows them from TLS of the app's own. */
const meshProtocol = "istio";

/** TLS with the workload's own identity, both ways; 1.3, as Weft's proxies all speak it. */
export function toServerIdentity({ identity }: ServerTls, protocols: readonly string[]): CommonContext {
  const trusted = identity?.trustDomains ?? [];
  return identityContext(
    trusted.map((domain) => ({ sanType: SanType.URI, matcher: { prefix: `spiffe://${domain}/` } })),
    [...protocols, meshProtocol],
  );
}

export function toClientIdentity(
  { subjectAltNames }: ClientTls,
  protocols: readonly string[],
): CommonContext {
  return identityContext(
    subjectAltNames.map((name) => ({ sanType: SanType.URI, matcher: { exact: name } })),
    [meshProtocol, ...protocols],
  );
}

/** Whether a context names certificates by secrets rather than files. */
export function usesSecrets(common: CommonContext): boolean {
  return (
    (common.tlsCertificateSdsSecretConfigs ?? []).length > 0 ||
    !!common.combinedValidationContext ||
    !!common.validationContextSdsSecretConfig
  );
}

/** The trust domains that clients may be of; undefined after a problem was reported. */
export function fromServerIdentity(
  common: CommonContext,
  path: string,
  reading: Reading,
): ServerTls["identity"] | undefined {
  if (!refuseOtherSecrets(common, path, reading)) return undefined;
  const trustDomains = matchersOf(common).flatMap(({ matcher }, index) => {
    const domain = /^spiffe:\/\/([a-z0-9._-]+)\/$/.exec(matcher?.prefix ?? "")?.[1];
    if (domain !== undefined) return [domain];
    const at = `${path}.combinedValidationContext.defaultValidationContext.matchTypedSubjectAltNames[${index}]`;
    reading.problem(at, "is supported as the prefix spiffe://TRUST-DOMAIN/ only");
    return [];
  });
  return { trustDomains };
}

/** The SPIFFE IDs that the server may have; undefined after a problem was reported. */
export function fromClientIdentity(
  common: CommonContext,
  path: string,
  reading: Reading,
): readonly string[] | undefined {
  if (!refuseOtherSecrets(common, path, reading)) return undefined;
  return matchersOf(common).flatMap(({ matcher }, index) => {
    if (typeof matcher?.exact === "string") return [matcher.exact];
    const at = `${path}.combinedValidationContext.defaultValidationContext.matchTypedSubjectAltNames[${index}]`;
    reading.problem(at, "only exact names are supported");
    return [];
  });
}

function identityContext(matchers: readonly SanMatcher[], protocols: readonly string[]): CommonContext {
  return {
    tlsParams: {
      tlsMinimumProtocolVersion: TlsProtocol.TLSv1_3,
      tlsMaximumProtocolVersion: TlsProtocol.TLSv1_3,
    },
    tlsCertificateSdsSecretConfigs: [{ name: secrets.certificate }],
    combinedValidationContext: {
      defaultValidationContext: { matchTypedSubjectAltNames: [...matchers] },
      validationContextSdsSecretConfig: { name: secrets.roots },
    },
    alpnProtocols: [...protocols],
  };
}

/** A certificate that is not the workload's own would be missing, so less would be protected than was asked. */
function refuseOtherSecrets(common: CommonContext, path: string, reading: Reading): boolean {
  const names = (common.tlsCertificateSdsSecretConfigs ?? []).map(({ name }) => name);
  const roots = common.combinedValidationContext?.validationContextSdsSecretConfig?.name;
  if (names.length === 1 && names[0] === secrets.certificate && roots === secrets.roots) return true;
  reading.problem(
    `${path}.tlsCertificateSdsSecretConfigs`,
    `secrets other than ${JSON.stringify(secrets.certificate)} with ${JSON.stringify(secrets.roots)} are not supported`,
  );
  return false;
}

function matchersOf({ combinedValidationContext }: CommonContext): readonly SanMatcher[] {
  return combinedValidationContext?.defaultValidationContext?.matchTypedSubjectAltNames ?? [];
}
