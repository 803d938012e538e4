import { z } from "zod";
import type { ServerTls, TlsVersion } from "../../../common/model/tls.ts";
import type { FieldProblem } from "../field-problem.ts";
import { notYet } from "../fields/not-yet.ts";

const credentials = "name files: serverCertificate, privateKey, caCertificates";

const modes = ["SIMPLE", "MUTUAL", "PASSTHROUGH"];
const modesOfLater = ["AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"];

const mode = z.string().superRefine((text, context) => {
  if (modes.includes(text)) return;
  const message = modesOfLater.includes(text)
    ? `${text} is not supported yet`
    : `${JSON.stringify(text)} is not one of the choices`;
  context.addIssue({ code: "custom", message, params: { hint: `one of ${modes.join(", ")}` } });
});

const versions = ["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"] as const;

const path = z.string().startsWith("/", { error: "is not an absolute path" });

/** Istio's ServerTLSSettings. The files are the gateway's. */
export const serverTlsField = z.strictObject({
  mode: mode.optional().describe("SIMPLE, MUTUAL or PASSTHROUGH; default PASSTHROUGH, as in Istio."),
  httpsRedirect: z.boolean().optional().describe("On an HTTP server: 301 to https for every request."),
  serverCertificate: path
    .optional()
    .describe("File of the gateway, PEM, with its chain; read again when it changes."),
  privateKey: path.optional().describe("File of the gateway, PEM."),
  caCertificates: path.optional().describe("MUTUAL: file of the authorities that sign client certificates."),
  minProtocolVersion: z.enum(versions).optional().describe("Default TLSV1_2."),
  maxProtocolVersion: z.enum(versions).optional(),
  cipherSuites: z.array(z.string().min(1)).optional().describe("OpenSSL names, for TLS 1.2 and below."),
  credentialName: notYet(credentials),
  credentialNames: notYet(credentials),
  caCertCredentialName: notYet(credentials),
  tlsCertificates: notYet("one certificate per server"),
  caCrl: notYet(),
  subjectAltNames: notYet(),
  verifyCertificateSpki: notYet(),
  verifyCertificateHash: notYet(),
  insecureSkipVerify: notYet("use SIMPLE to ask for no client certificate"),
});

export type ServerTlsInput = z.infer<typeof serverTlsField>;

/** What a server's protocol and TLS settings say together. Paths start at the server. */
export function validateServerTls(protocol: string, tls: ServerTlsInput | undefined): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const report = (field: string, why: string, hint: string) =>
    problems.push({ path: field === "" ? ["tls"] : ["tls", field], why, hint });
  const files = ["serverCertificate", "privateKey", "caCertificates"] as const;
  if (protocol !== "https" && protocol !== "tls") {
    const name = protocol.toUpperCase();
    for (const field of ["mode", ...files] as const)
      if (tls?.[field] !== undefined)
        report(
          field,
          `has no use on a server for ${name}`,
          `set the protocol to ${protocol === "http" ? "HTTPS" : "TLS"}, or remove it`,
        );
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
  const wanted: readonly string[] =
    used === "PASSTHROUGH" ? [] : used === "MUTUAL" ? files : ["serverCertificate", "privateKey"];
  for (const field of files) {
    if (tls[field] === undefined && wanted.includes(field))
      report(field, `is missing: ${used} needs it`, "give the path of a PEM file");
    if (tls[field] !== undefined && !wanted.includes(field))
      report(field, `has no use with ${used}`, "remove it, or use another mode");
  }
  const [min, max] = [
    versions.indexOf(tls.minProtocolVersion ?? "TLS_AUTO"),
    versions.indexOf(tls.maxProtocolVersion ?? "TLS_AUTO"),
  ];
  if (max > 0 && (min || versions.indexOf("TLSV1_2")) > max)
    report("maxProtocolVersion", "is below the lowest version", "raise it, or lower minProtocolVersion");
  return problems;
}

/** Undefined for servers that don't end TLS themselves. */
export function compileServerTls(tls: ServerTlsInput | undefined): ServerTls | undefined {
  const { serverCertificate, privateKey, caCertificates } = tls ?? {};
  if (tls === undefined || serverCertificate === undefined || privateKey === undefined) return undefined;
  const minVersion = versionOf(tls.minProtocolVersion);
  const maxVersion = versionOf(tls.maxProtocolVersion);
  return {
    certificate: { certificateFile: serverCertificate, privateKeyFile: privateKey },
    ...(tls.mode === "MUTUAL" && caCertificates !== undefined ? { clientCaFile: caCertificates } : {}),
    ...(minVersion && { minVersion }),
    ...(maxVersion && { maxVersion }),
    cipherSuites: tls.cipherSuites ?? [],
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
