import { z } from "zod";
import type { ClientTls } from "../../../common/model/tls.ts";
import type { FieldProblem } from "../field-problem.ts";
import { notYet } from "../fields/not-yet.ts";

const credentials = "name files: caCertificates, clientCertificate, privateKey";

const modes = ["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"];

const mode = z.string().superRefine((text, context) => {
  if (modes.includes(text)) return;
  const message = `${JSON.stringify(text)} is not one of the choices`;
  context.addIssue({ code: "custom", message, params: { hint: `one of ${modes.join(", ")}` } });
});

const path = z.string().startsWith("/", { error: "is not an absolute path" });

/** Istio's ClientTLSSettings. The files are the calling proxy's. */
export const clientTlsField = z.strictObject({
  mode: mode
    .optional()
    .describe(
      "DISABLE (default): plain text. SIMPLE: TLS. MUTUAL: TLS with a client certificate. ISTIO_MUTUAL: with the workload's own, as automatic mutual TLS does.",
    ),
  sni: z
    .string()
    .min(1)
    .optional()
    .describe("Default: the host, unless that is a wildcard; then what the request asks for."),
  caCertificates: path
    .optional()
    .describe("File of the authorities to trust, PEM; default: those that the machine trusts."),
  clientCertificate: path.optional().describe("MUTUAL: file, PEM, with its chain."),
  privateKey: path.optional().describe("MUTUAL: file, PEM."),
  subjectAltNames: z
    .array(z.string().min(1))
    .optional()
    .describe("DNS names or URIs, one of which the certificate must have; default: the server name."),
  insecureSkipVerify: z.boolean().optional().describe("Take any certificate. For tests only."),
  credentialName: notYet(credentials),
  caCrl: notYet(),
});

export type ClientTlsInput = z.infer<typeof clientTlsField>;

/** Paths start at `tls`. */
export function validateClientTls(tls: ClientTlsInput | undefined): FieldProblem[] {
  if (tls === undefined) return [];
  const problems: FieldProblem[] = [];
  const { mode: used = "DISABLE", insecureSkipVerify } = tls;
  const report = (field: string, why: string, hint: string) => problems.push({ path: [field], why, hint });
  for (const field of ["clientCertificate", "privateKey"] as const) {
    if (used === "MUTUAL" && tls[field] === undefined)
      report(field, "is missing: MUTUAL needs it", "give the path of a PEM file");
    if (used !== "MUTUAL" && tls[field] !== undefined)
      report(field, `has no use with ${used}`, "set mode to MUTUAL, or remove it");
  }
  if (used === "ISTIO_MUTUAL")
    for (const field of ["caCertificates", "insecureSkipVerify"] as const)
      if (tls[field] !== undefined)
        report(field, "has no use with ISTIO_MUTUAL: the mesh's own roots count", "remove it");
  if (insecureSkipVerify && used !== "ISTIO_MUTUAL") {
    if (tls.caCertificates !== undefined || tls.subjectAltNames !== undefined)
      report(
        "insecureSkipVerify",
        "makes caCertificates and subjectAltNames useless",
        "keep one or the other",
      );
    else {
      const hint = "give caCertificates of the server's authority instead";
      const why = "lets anybody on the way read and change what is sent";
      problems.push({ path: ["insecureSkipVerify"], severity: "warning", why, hint });
    }
  }
  return problems;
}

/** `disable`: plain text, also where a more general policy says otherwise. */
export function compileClientTls(tls: ClientTlsInput): ClientTls | "disable" {
  const { mode: used = "DISABLE", sni, caCertificates, clientCertificate, privateKey } = tls;
  if (used === "DISABLE") return "disable";
  return {
    ...(used === "ISTIO_MUTUAL" ? { identity: true as const } : {}),
    ...(sni === undefined ? {} : { sni: sni.toLowerCase() }),
    ...(caCertificates === undefined ? {} : { caFile: caCertificates }),
    ...(clientCertificate !== undefined && privateKey !== undefined
      ? { certificate: { certificateFile: clientCertificate, privateKeyFile: privateKey } }
      : {}),
    subjectAltNames: tls.subjectAltNames ?? [],
    insecureSkipVerify: tls.insecureSkipVerify ?? false,
  };
}
