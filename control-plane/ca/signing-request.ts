import "reflect-metadata";
import { createPublicKey } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** Either the key that is to be certified, or why the request is refused. */
export type ReadRequest =
  | { readonly ok: true; readonly publicKey: x509.PublicKey }
  | { readonly ok: false; readonly why: string };

/** Octets of PEM. A request with a 4,096-bit RSA key is 1.7 kB. */
const maxOctets = 8 * 1024;

/**
 * Reads a certificate signing request (PKCS#10, PEM). Nothing but its key is used: the name comes from the caller's proven identity. The
 * key must be ECDSA on P-256 or P-384, or RSA of 2,048 to 4,096 bits, and have signed the request with SHA-2. Never throws.
 */
export async function readSigningRequest(pem: string): Promise<ReadRequest> {
  if (pem.length > maxOctets) return no(`is longer than ${maxOctets} octets`);
  if (!/-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----/.test(pem))
    return no("is no CERTIFICATE REQUEST in PEM");
  try {
    const request = new x509.Pkcs10CertificateRequest(pem);
    const refused = refusedKey(Buffer.from(request.publicKey.rawData)) ?? refusedHash(request);
    if (refused !== undefined) return no(refused);
    if (!(await request.verify())) return no("is not signed with its own key");
    return { ok: true, publicKey: request.publicKey };
  } catch (cause) {
    return no(`can't be read: ${(cause as Error).message.slice(0, 200)}`);
  }
}

function refusedKey(spki: Buffer): string | undefined {
  const key = createPublicKey({ key: spki, format: "der", type: "spki" });
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "ec") {
    return namedCurve === "prime256v1" || namedCurve === "secp384r1"
      ? undefined
      : `has a key on the curve ${namedCurve}; P-256 and P-384 are accepted`;
  }
  if (key.asymmetricKeyType !== "rsa")
    return `has a key of type ${key.asymmetricKeyType}; ECDSA and RSA are accepted`;
  if (modulusLength < 2_048) return `has an RSA key of ${modulusLength} bits; 2,048 are the least`;
  return modulusLength > 4_096 ? `has an RSA key of ${modulusLength} bits; 4,096 are the most` : undefined;
}

function refusedHash({ signatureAlgorithm }: x509.Pkcs10CertificateRequest): string | undefined {
  const { name = "" } = (signatureAlgorithm as { hash?: { name?: string } }).hash ?? {};
  return ["SHA-256", "SHA-384", "SHA-512"].includes(name)
    ? undefined
    : `is signed with ${name === "" ? "an unknown hash" : name}; SHA-256 and longer are accepted`;
}

function no(why: string): ReadRequest {
  return { ok: false, why };
}
