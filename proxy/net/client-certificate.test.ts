import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { expect, it } from "vitest";
import { clientCertificateOf } from "./client-certificate.ts";

it.each([
  ["/", ""],
  ["/O=shop/CN=ui", "CN=ui,O=shop"],
])("a certificate with the subject %s is told as %j", (subject, told) => {
  const folder = mkdtempSync(join(tmpdir(), "weft-subject-"));
  const [key, out] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  execFileSync("openssl", ["req", "-x509", ...curve, "-subj", subject, "-keyout", key, "-out", out], {
    stdio: "ignore",
  });
  const certificate = new X509Certificate(readFileSync(out));
  rmSync(folder, { recursive: true });
  const socket = { authorized: true, getPeerX509Certificate: () => certificate } as unknown as TLSSocket;
  expect(clientCertificateOf(socket)?.subject).toBe(told);
});
