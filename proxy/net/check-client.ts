import { createHash, X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { ServerTls } from "../../common/model/tls.ts";

/**
 * Whether a client may come in after its handshake, by what the settings ask besides the authorities: those are node's business where
 * a certificate is required, and looked at here where it is optional. The answer is the reason why not.
 */
export function refusalOfClient(socket: TLSSocket, { client }: ServerTls): string | undefined {
  if (client === undefined) return undefined;
  const { raw } = socket.getPeerCertificate();
  if (raw === undefined) return client.isOptional ? undefined : "no certificate";
  if (!socket.authorized) return String(socket.authorizationError ?? "the certificate is not trusted");
  const certificate = new X509Certificate(raw);
  const { subjectAltNames, certificateHashes = [], keyHashes = [] } = client;
  if (subjectAltNames !== undefined && !hasName(certificate, subjectAltNames))
    return "the certificate is for none of the names";
  if (certificateHashes.length + keyHashes.length === 0) return undefined;
  const isPinned =
    certificateHashes.includes(createHash("sha256").update(raw).digest("hex")) ||
    keyHashes.includes(keyHash(certificate));
  return isPinned ? undefined : "neither the certificate nor its key is one of those that are known";
}

function hasName(certificate: X509Certificate, names: readonly string[]): boolean {
  const own = (certificate.subjectAltName ?? "").split(", ");
  return names.some((name) => own.includes(name.includes("://") ? `URI:${name}` : `DNS:${name}`));
}

function keyHash({ publicKey }: X509Certificate): string {
  const der = publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(der).digest("base64");
}
