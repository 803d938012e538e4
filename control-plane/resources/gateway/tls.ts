import { z } from "zod";
import type { ClientCheck, ServerTls, TlsVersion } from "../../../common/model/tls.ts";
import type { FieldProblem } from "../field-problem.ts";
import { dnsSubdomainField } from "../fields/names.ts";
import { notYet } from "../fields/not-yet.ts";

const modes = ["SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL", "PASSTHROUGH"];
const modesOfLater = ["AUTO_PASSTHROUGH", "ISTIO_MUTUAL"];

const mode = z.string().superRefine((text, context) => {
  if (modes.includes(text)) return;
  const message = modesOfLater.includes(text)
    ? `${text} is not supported yet`
    : `${JSON.stringify(text)} is not one of the choices`;
  context.addIssue({ code: "custom", message, params: { hint: `one of ${modes.join(", ")}` } });
});

const versions = ["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"] as const;

const path = z.string().startsWith("/", { error: "is not an absolute path" });
const credential = dnsSubdomainField("the name of a credential");

/** SHA-256 in hex, with or without colons. */
const certificateHash = z
  .string()
  .regex(/^[0-9a-fA-F]{2}(:?[0-9a-fA-F]{2}){31}$/, { error: "is no SHA-256 in hex" });
const keyHash = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, { error: "is no SHA-256 in base64" });

/** Istio's ServerTLSSettings. The files and credentials are the gateway's. */
export const serverTlsField = z.strictObject({
  mode: mode
    .optional()
    .describe("SIMPLE, MUTUAL, OPTIONAL_MUTUAL or PASSTHROUGH; default PASSTHROUGH, as in Istio."),
  httpsRedirect: z.boolean().optional().describe("On an HTTP server: 301 to https for every request."),
  serverCertificate: path
    .optional()
    .describe("File of the gateway, PEM, with its chain; read again when it changes."),
  privateKey: path.optional().describe("File of the gateway, PEM."),
  caCertificates: path
    .optional()
    .describe("MUTUAL and OPTIONAL_MUTUAL: file of the authorities that sign client certificates."),
  tlsCertificates: z
    .array(z.strictObject({ serverCertificate: path, privateKey: path }))
    .min(1)
    .optional()
    .describe(
      "In place of serverCertificate and privateKey: one for each kind of key, such as RSA and ECDSA.",
    ),
  credentialName: credential
    .optional()
    .describe(
      "In place of files: a folder of this name below the gateway's --secrets, as a mounted kubernetes.io/tls Secret looks: tls.crt, tls.key, and ca.crt for MUTUAL.",
    ),
  caCertCredentialName: credential
    .optional()
    .describe("The credential whose ca.crt holds the authorities, when it is another."),
  minProtocolVersion: z.enum(versions).optional().describe("Default TLSV1_2."),
  maxProtocolVersion: z.enum(versions).optional(),
  cipherSuites: z.array(z.string().min(1)).optional().describe("OpenSSL names, for TLS 1.2 and below."),
  subjectAltNames: z
    .array(z.string().min(1))
    .optional()
    .describe("A client's certificate must have one of these DNS names or URIs."),
  verifyCertificateHash: z
    .array(certificateHash)
    .optional()
    .describe("SHA-256 of client certificates, in hex; one of these, or of verifyCertificateSpki."),
  verifyCertificateSpki: z
    .array(keyHash)
    .optional()
    .describe("SHA-256 of the public keys (SPKI) of client certificates, in base64."),
  caCrl: path.optional().describe("File of the gateway, PEM: client certificates that were taken back."),
  credentialNames: notYet("one credential per server: credentialName"),
  insecureSkipVerify: notYet("use SIMPLE to ask for no client certificate"),
});

export type ServerTlsInput = z.infer<typeof serverTlsField>;

const sources = ["serverCertificate", "privateKey", "tlsCertificates", "credentialName"] as const;
const authorities = ["caCertificates", "caCertCredentialName"] as const;
const checks = ["subjectAltNames", "verifyCertificateHash", "verifyCertificateSpki", "caCrl"] as const;

/** What a server's protocol and TLS settings say together. Paths start at the server. */
export function validateServerTls(protocol: string, tls: ServerTlsInput | undefined): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const report = (field: string, why: string, hint: string) =>
    problems.push({ path: field === "" ? ["tls"] : ["tls", field], why, hint });
  if (protocol !== "https" && protocol !== "tls") {
    const name = protocol.toUpperCase();
    const proper = protocol === "http" ? "HTTPS" : "TLS";
    for (const field of ["mode", ...sources, ...authorities, ...checks] as const)
      if (tls?.[field] !== undefined)
        report(field, `has no use on a server for ${name}`, `set the protocol to ${proper}, or remove it`);
    if (protocol !== "http" && tls?.httpsRedirect)
      report("httpsRedirect", `has no use on a server for ${name}`, "put it on an HTTP server");
    return problems;
  }
  if (tls === undefined) {
    report("", "is missing", "give mode: SIMPLE with serverCertificate and privateKey, or mode: PASSTHROUGH");
    return problems;
  }
  if (tls.httpsRedirect)
    report("httpsRedirect", "has no use where TLS is spoken already", "put it on the HTTP server");
  const used = tls.mode ?? "PASSTHROUGH";
  const asksClients = used === "MUTUAL" || used === "OPTIONAL_MUTUAL";
  const useless = [
    ...(used === "PASSTHROUGH" ? sources : []),
    ...(asksClients ? [] : [...authorities, ...checks]),
  ];
  for (const field of useless)
    if (tls[field] !== undefined) report(field, `has no use with ${used}`, "remove it, or use another mode");
  if (used !== "PASSTHROUGH") {
    problems.push(...missingCertificate(tls, used));
    if (
      asksClients &&
      tls.credentialName === undefined &&
      authorities.every((field) => tls[field] === undefined)
    )
      report("caCertificates", `is missing: ${used} needs it`, "give the path of a PEM file");
  }
  const [min, max] = [
    versions.indexOf(tls.minProtocolVersion ?? "TLS_AUTO"),
    versions.indexOf(tls.maxProtocolVersion ?? "TLS_AUTO"),
  ];
  if (max > 0 && (min || versions.indexOf("TLSV1_2")) > max)
    report("maxProtocolVersion", "is below the lowest version", "raise it, or lower minProtocolVersion");
  return problems;
}

/** The certificate comes from one place. */
function missingCertificate(tls: ServerTlsInput, used: string): FieldProblem[] {
  const places = (["credentialName", "tlsCertificates"] as const).filter((field) => tls[field] !== undefined);
  const [place] = places;
  const files = ["serverCertificate", "privateKey"] as const;
  if (place === undefined) {
    return files
      .filter((field) => tls[field] === undefined)
      .map((field) => ({
        path: ["tls", field],
        why: `is missing: ${used} needs it`,
        hint: "give the path of a PEM file",
      }));
  }
  return [...files, ...places.slice(1)]
    .filter((field) => tls[field] !== undefined)
    .map((field) => ({ path: ["tls", field], why: `cannot stand beside ${place}`, hint: "keep one" }));
}

/** Undefined for servers that don't end TLS themselves. */
export function compileServerTls(tls: ServerTlsInput | undefined): ServerTls | undefined {
  if (tls === undefined || (tls.mode ?? "PASSTHROUGH") === "PASSTHROUGH") return undefined;
  const { serverCertificate, privateKey, credentialName, tlsCertificates = [] } = tls;
  const pairs =
    serverCertificate !== undefined && privateKey !== undefined
      ? [{ serverCertificate, privateKey }]
      : tlsCertificates;
  const [first, ...others] = pairs.map((pair) => ({
    certificateFile: pair.serverCertificate,
    privateKeyFile: pair.privateKey,
  }));
  const minVersion = versionOf(tls.minProtocolVersion);
  const maxVersion = versionOf(tls.maxProtocolVersion);
  return {
    ...(first && { certificate: first }),
    ...(others.length > 0 ? { moreCertificates: others } : {}),
    ...(credentialName === undefined ? {} : { secret: credentialName }),
    ...(tls.mode === "SIMPLE" ? {} : compileClients(tls)),
    ...(minVersion && { minVersion }),
    ...(maxVersion && { maxVersion }),
    cipherSuites: tls.cipherSuites ?? [],
  };
}

function compileClients(tls: ServerTlsInput): Pick<ServerTls, "clientCaFile" | "clientCaSecret" | "client"> {
  const { caCertificates, caCertCredentialName, credentialName, caCrl } = tls;
  const secret = caCertCredentialName ?? credentialName;
  const list = <T>(name: keyof ClientCheck, values: readonly T[] | undefined) =>
    values === undefined || values.length === 0 ? {} : { [name]: values };
  const client: ClientCheck = {
    ...(tls.mode === "OPTIONAL_MUTUAL" ? { isOptional: true as const } : {}),
    ...list("subjectAltNames", tls.subjectAltNames),
    ...list(
      "certificateHashes",
      tls.verifyCertificateHash?.map((hash) => hash.replaceAll(":", "").toLowerCase()),
    ),
    ...list("keyHashes", tls.verifyCertificateSpki),
    ...(caCrl === undefined ? {} : { crlFile: caCrl }),
  };
  return {
    ...(caCertificates === undefined ? {} : { clientCaFile: caCertificates }),
    ...(caCertificates === undefined && secret !== undefined ? { clientCaSecret: secret } : {}),
    ...(Object.keys(client).length > 0 ? { client } : {}),
  };
}

function versionOf(version: ServerTlsInput["minProtocolVersion"]): TlsVersion | undefined {
  const known: Readonly<Record<string, TlsVersion>> = {
    TLSV1_0: "TLSv1",
    TLSV1_1: "TLSv1.1",
    TLSV1_2: "TLSv1.2",
    TLSV1_3: "TLSv1.3",
  };
  return known[version ?? ""];
}
