import { isIP } from "node:net";
import type { ClientTls, KeyPairFiles, ServerTls, TlsVersion } from "../model/tls.ts";
import { tlsVersions } from "../model/tls.ts";
import messages from "./generated/messages.js";
import {
  fromClientIdentity,
  fromServerIdentity,
  toClientIdentity,
  toServerIdentity,
  usesSecrets,
} from "./mesh-tls.ts";
import {
  fromClientValidation,
  fromCredential,
  toClientValidation,
  toCredential,
  usesCredentials,
} from "./server-tls.ts";
import type { Reading } from "./wire.ts";
import { anyType, decodeMessage, packAny } from "./wire.ts";

type TransportSocket = messages.envoy.config.core.v3.TransportSocket;
type DataSource = messages.envoy.config.core.v3.DataSource;
type CommonContext = messages.envoy.extensions.transport_sockets.tls.v3.CommonTlsContext;
type Validation = messages.envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext;
type SanMatcher = messages.envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher;

const { DownstreamTlsContext, UpstreamTlsContext, CertificateValidationContext, SubjectAltNameMatcher } =
  messages.envoy.extensions.transport_sockets.tls.v3;
const { TrustChainVerification } = CertificateValidationContext;
const { SanType } = SubjectAltNameMatcher;

const room = "envoy.extensions.transport_sockets.tls.v3";
const downstreamType = `${room}.DownstreamTlsContext`;
const upstreamType = `${room}.UpstreamTlsContext`;
const socketName = "envoy.transport_sockets.tls";

/** Envoy's TlsProtocol 1 is TLS 1.0; 0 leaves it to the proxy. */
const protocolNumber = (version: TlsVersion) => (tlsVersions.indexOf(version) + 1) as 1 | 2 | 3 | 4;

export function toServerSocket(tls: ServerTls): TransportSocket {
  const { minVersion, maxVersion, cipherSuites, certificate, moreCertificates = [] } = tls;
  const certificates = certificate === undefined ? [] : [certificate, ...moreCertificates];
  const clients = toClientValidation(tls);
  if (tls.identity !== undefined) {
    return {
      name: socketName,
      typedConfig: packAny(downstreamType, DownstreamTlsContext, {
        commonTlsContext: toServerIdentity(tls, ["http/1.1"]),
        requireClientCertificate: { value: true },
      }),
    };
  }
  return {
    name: socketName,
    typedConfig: packAny(downstreamType, DownstreamTlsContext, {
      commonTlsContext: {
        tlsParams: {
          ...(minVersion && { tlsMinimumProtocolVersion: protocolNumber(minVersion) }),
          ...(maxVersion && { tlsMaximumProtocolVersion: protocolNumber(maxVersion) }),
          cipherSuites: [...cipherSuites],
        },
        ...(tls.secret === undefined
          ? { tlsCertificates: certificates.map(toCertificate) }
          : { tlsCertificateSdsSecretConfigs: toCredential(tls.secret) }),
        ...clients,
        alpnProtocols: ["http/1.1"],
      },
      ...(clients && !tls.client?.isOptional ? { requireClientCertificate: { value: true } } : {}),
    }),
  };
}

/** Undefined after a problem was reported. */
export function fromServerSocket(
  socket: TransportSocket,
  path: string,
  reading: Reading,
): ServerTls | undefined {
  const context = open(socket, downstreamType, DownstreamTlsContext, path, reading);
  if (context === undefined) return undefined;
  reading.refuseUnknown(context, downstreamType, path);
  const common = context.commonTlsContext ?? {};
  refuseForeignSources(common, path, reading);
  const isRequired = context.requireClientCertificate?.value === true;
  if (usesSecrets(common) && !usesCredentials(common)) {
    const identity = fromServerIdentity(common, `${path}.commonTlsContext`, reading);
    if (!context.requireClientCertificate?.value)
      reading.problem(`${path}.requireClientCertificate`, "must be true within the mesh");
    return identity && { identity, cipherSuites: [] };
  }
  const secret = fromCredential(common, `${path}.commonTlsContext`, reading);
  const certificates = (common.tlsCertificates ?? []).flatMap(
    (certificate, index) => fromCertificate(certificate, `${path}.tlsCertificates[${index}]`, reading) ?? [],
  );
  const [certificate, ...moreCertificates] = certificates;
  if (certificate === undefined && secret === undefined) {
    if ((common.tlsCertificates ?? []).length === 0) reading.problem(`${path}.tlsCertificates`, "is empty");
    return undefined;
  }
  const clients = fromClientValidation(common, isRequired, path, reading);
  const parameters = common.tlsParams;
  const minVersion = tlsVersions[(parameters?.tlsMinimumProtocolVersion ?? 0) - 1];
  const maxVersion = tlsVersions[(parameters?.tlsMaximumProtocolVersion ?? 0) - 1];
  return {
    ...(certificate === undefined ? {} : { certificate }),
    ...(moreCertificates.length > 0 ? { moreCertificates } : {}),
    ...(secret === undefined ? {} : { secret }),
    ...clients,
    ...(minVersion ? { minVersion } : {}),
    ...(maxVersion ? { maxVersion } : {}),
    cipherSuites: parameters?.cipherSuites ?? [],
  };
}

export function toClientSocket(tls: ClientTls): TransportSocket {
  const { sni, caFile, certificate, subjectAltNames, insecureSkipVerify } = tls;
  if (tls.identity) {
    return {
      name: socketName,
      typedConfig: packAny(upstreamType, UpstreamTlsContext, {
        commonTlsContext: toClientIdentity(tls, ["http/1.1"]),
        ...(sni === undefined ? {} : { sni }),
      }),
    };
  }
  // Envoy compares no name unless it is told one; Weft's rule is the SNI.
  const names = subjectAltNames.length > 0 || sni === undefined ? subjectAltNames : [sni];
  const validation: Validation = insecureSkipVerify
    ? { trustChainVerification: TrustChainVerification.ACCEPT_UNTRUSTED }
    : {
        ...(caFile === undefined ? { systemRootCerts: {} } : { trustedCa: { filename: caFile } }),
        matchTypedSubjectAltNames: names.map(toSanMatcher),
      };
  return {
    name: socketName,
    typedConfig: packAny(upstreamType, UpstreamTlsContext, {
      commonTlsContext: {
        ...(certificate && { tlsCertificates: [toCertificate(certificate)] }),
        validationContext: validation,
        alpnProtocols: ["http/1.1"],
      },
      ...(sni === undefined ? {} : { sni }),
    }),
  };
}

/** Undefined after a problem was reported. */
export function fromClientSocket(
  socket: TransportSocket,
  path: string,
  reading: Reading,
): ClientTls | undefined {
  const context = open(socket, upstreamType, UpstreamTlsContext, path, reading);
  if (context === undefined) return undefined;
  reading.refuseUnknown(context, upstreamType, path);
  const common = context.commonTlsContext ?? {};
  refuseForeignSources(common, path, reading);
  if (usesSecrets(common)) {
    const subjectAltNames = fromClientIdentity(common, `${path}.commonTlsContext`, reading);
    return (
      subjectAltNames && {
        identity: true,
        ...(context.sni ? { sni: context.sni } : {}),
        subjectAltNames,
        insecureSkipVerify: false,
      }
    );
  }
  const [certificate] = common.tlsCertificates ?? [];
  const files = certificate && fromCertificate(certificate, `${path}.tlsCertificates[0]`, reading);
  const at = `${path}.validationContext`;
  const validation = common.validationContext ?? {};
  refuseStricter(validation, at, reading);
  // Envoy verifies nothing unless it was given something to verify against.
  const trustsAll = !validation.trustedCa && !validation.systemRootCerts;
  const insecureSkipVerify =
    trustsAll || validation.trustChainVerification === TrustChainVerification.ACCEPT_UNTRUSTED;
  const caFile = validation.trustedCa
    ? filename(validation.trustedCa, `${at}.trustedCa`, reading)
    : undefined;
  const names = (validation.matchTypedSubjectAltNames ?? []).flatMap((matcher, index) => {
    const value = matcher.matcher?.exact;
    if (typeof value === "string") return [value];
    reading.problem(`${at}.matchTypedSubjectAltNames[${index}]`, "only exact names are supported");
    return [];
  });
  const sni = context.sni ?? "";
  return {
    ...(sni === "" ? {} : { sni }),
    ...(caFile === undefined ? {} : { caFile }),
    ...(files ? { certificate: files } : {}),
    subjectAltNames: names.length === 1 && names[0] === sni ? [] : names,
    insecureSkipVerify,
  };
}

function open<T>(
  socket: TransportSocket,
  type: string,
  codec: Parameters<typeof decodeMessage<T>>[0],
  path: string,
  reading: Reading,
): T | undefined {
  const found = anyType(socket.typedConfig);
  if (found === type)
    return decodeMessage(codec, socket.typedConfig?.value ?? new Uint8Array(), path, reading);
  reading.problem(path, `the transport socket ${JSON.stringify(found)} is not supported`, "use TLS, or none");
  return undefined;
}

function toCertificate({ certificateFile, privateKeyFile }: KeyPairFiles) {
  return { certificateChain: { filename: certificateFile }, privateKey: { filename: privateKeyFile } };
}

function fromCertificate(
  certificate: messages.envoy.extensions.transport_sockets.tls.v3.TlsCertificate,
  path: string,
  reading: Reading,
): KeyPairFiles | undefined {
  reading.refuseUnknown(certificate, `${room}.TlsCertificate`, path);
  const certificateFile = filename(certificate.certificateChain, `${path}.certificateChain`, reading);
  const privateKeyFile = filename(certificate.privateKey, `${path}.privateKey`, reading);
  if (certificate.password) reading.problem(`${path}.password`, "is not supported");
  return certificateFile === undefined || privateKeyFile === undefined
    ? undefined
    : { certificateFile, privateKeyFile };
}

function filename(source: DataSource | null | undefined, path: string, reading: Reading): string | undefined {
  if (source?.filename) return source.filename;
  reading.problem(path, "must be a file name", "other sources are not supported yet");
  return undefined;
}

/** Certificates that come in another way would be missing, so connections would be less protected than was asked. */
function refuseForeignSources(common: CommonContext, path: string, reading: Reading): void {
  reading.refuseUnknown(common, `${room}.CommonTlsContext`, `${path}.commonTlsContext`);
}

/** Rules for certificates that this build would not keep. */
function refuseStricter(validation: Validation, path: string, reading: Reading): void {
  reading.refuseUnknown(validation, `${room}.CertificateValidationContext`, path);
  const set: Readonly<Record<string, boolean>> = {
    verifyCertificateSpki: (validation.verifyCertificateSpki ?? []).length > 0,
    verifyCertificateHash: (validation.verifyCertificateHash ?? []).length > 0,
    matchSubjectAltNames: (validation.matchSubjectAltNames ?? []).length > 0,
    crl: !!validation.crl,
  };
  for (const [name, isSet] of Object.entries(set))
    if (isSet) reading.problem(`${path}.${name}`, "is not supported");
}

function toSanMatcher(name: string): SanMatcher {
  const sanType = name.includes("://") ? SanType.URI : isIP(name) === 0 ? SanType.DNS : SanType.IP_ADDRESS;
  return { sanType, matcher: { exact: name } };
}
