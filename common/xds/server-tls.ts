import type { ClientCheck, ServerTls } from "../model/tls.ts";
import { adsConfigSource } from "./config-source.ts";
import messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";

type CommonContext = messages.envoy.extensions.transport_sockets.tls.v3.CommonTlsContext;
type Validation = messages.envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext;

const { SanType } = messages.envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher;

/** Istio's names for secrets of Kubernetes, and what is added for the authorities of clients. */
const scheme = "kubernetes://";
const caSuffix = "-cacert";

/** Whether a context names a credential of the proxy, and not its identity in the mesh. */
export function usesCredentials(common: CommonContext): boolean {
  const names = (common.tlsCertificateSdsSecretConfigs ?? []).map(({ name }) => name);
  const authorities = common.combinedValidationContext?.validationContextSdsSecretConfig?.name;
  return [...names, authorities].some((name) => name?.startsWith(scheme));
}

export function toCredential(secret: string): CommonContext["tlsCertificateSdsSecretConfigs"] {
  return [{ name: `${scheme}${secret}`, sdsConfig: adsConfigSource() }];
}

/** Undefined when there is none, or after a problem was reported. */
export function fromCredential(common: CommonContext, path: string, reading: Reading): string | undefined {
  const [config, ...others] = common.tlsCertificateSdsSecretConfigs ?? [];
  if (config === undefined) return undefined;
  const at = `${path}.tlsCertificateSdsSecretConfigs`;
  if (others.length > 0) reading.problem(at, "has more than one secret");
  const name = config.name ?? "";
  if (name.startsWith(scheme)) return name.slice(scheme.length);
  reading.problem(`${at}[0].name`, `is supported as ${scheme}NAME only`);
  return undefined;
}

/** What clients must show; undefined when they are asked for nothing. */
export function toClientValidation(tls: ServerTls): CommonContext | undefined {
  const { clientCaFile, clientCaSecret, client = {} } = tls;
  if (clientCaFile === undefined && clientCaSecret === undefined) return undefined;
  const validation: Validation = {
    ...(clientCaFile === undefined ? {} : { trustedCa: { filename: clientCaFile } }),
    matchTypedSubjectAltNames: (client.subjectAltNames ?? []).map((name) => ({
      sanType: name.includes("://") ? SanType.URI : SanType.DNS,
      matcher: { exact: name },
    })),
    verifyCertificateHash: [...(client.certificateHashes ?? [])],
    verifyCertificateSpki: [...(client.keyHashes ?? [])],
    ...(client.crlFile === undefined ? {} : { crl: { filename: client.crlFile } }),
  };
  if (clientCaSecret === undefined) return { validationContext: validation };
  const name = `${scheme}${clientCaSecret}${caSuffix}`;
  return {
    combinedValidationContext: {
      defaultValidationContext: validation,
      validationContextSdsSecretConfig: { name, sdsConfig: adsConfigSource() },
    },
  };
}

/** The authorities and the check of a context; `isRequired`: Envoy's require_client_certificate. */
export function fromClientValidation(
  common: CommonContext,
  isRequired: boolean,
  path: string,
  reading: Reading,
): Pick<ServerTls, "clientCaFile" | "clientCaSecret" | "client"> {
  const combined = common.combinedValidationContext;
  const validation = combined?.defaultValidationContext ?? common.validationContext;
  if (!validation && !combined) {
    if (isRequired) reading.problem(`${path}.requireClientCertificate`, "needs validationContext.trustedCa");
    return {};
  }
  const secret = combined?.validationContextSdsSecretConfig?.name ?? "";
  const isKnown = secret.startsWith(scheme) && secret.endsWith(caSuffix);
  if (combined && !isKnown) {
    const at = `${path}.combinedValidationContext.validationContextSdsSecretConfig.name`;
    reading.problem(at, `is supported as ${scheme}NAME${caSuffix} only`);
  }
  const file = validation?.trustedCa?.filename;
  if (!combined && !file)
    reading.problem(`${path}.validationContext.trustedCa`, "must be a file name", "or a secret");
  const client = fromCheck(validation ?? {}, isRequired, path, reading);
  return {
    ...(file ? { clientCaFile: file } : {}),
    ...(combined ? { clientCaSecret: secret.slice(scheme.length, -caSuffix.length) } : {}),
    ...(Object.keys(client).length > 0 ? { client } : {}),
  };
}

function fromCheck(validation: Validation, isRequired: boolean, path: string, reading: Reading): ClientCheck {
  const at = `${path}.validationContext`;
  reading.refuseUnknown(
    validation,
    "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext",
    at,
  );
  if ((validation.matchSubjectAltNames ?? []).length > 0)
    reading.problem(`${at}.matchSubjectAltNames`, "is not supported");
  const names = (validation.matchTypedSubjectAltNames ?? []).flatMap(({ matcher }, index) => {
    if (typeof matcher?.exact === "string") return [matcher.exact];
    reading.problem(`${at}.matchTypedSubjectAltNames[${index}]`, "only exact names are supported");
    return [];
  });
  const hashes = (validation.verifyCertificateHash ?? []).map((hash) =>
    hash.replaceAll(":", "").toLowerCase(),
  );
  const keys = validation.verifyCertificateSpki ?? [];
  const crl = validation.crl;
  if (crl && !crl.filename) reading.problem(`${at}.crl`, "must be a file name");
  return {
    ...(isRequired ? {} : { isOptional: true as const }),
    ...(names.length > 0 ? { subjectAltNames: names } : {}),
    ...(hashes.length > 0 ? { certificateHashes: hashes } : {}),
    ...(keys.length > 0 ? { keyHashes: keys } : {}),
    ...(crl?.filename ? { crlFile: crl.filename } : {}),
  };
}
