import { createPrivateKey, X509Certificate } from "node:crypto";
import forge from "node-forge";
import type { AuthorityMaterial } from "./plugged-in.ts";

interface Bag {
  readonly asn1: Asn1;
}
type Asn1 = Parameters<typeof forge.asn1.toDer>[0];

/**
 * Reads a PKCS#12 archive (RFC 7292): its one private key, the certificate of that key, and the others. Throws an Error that says
 * what is wrong; a wrong password is told from a damaged file where the archive has a checksum.
 */
export function readPkcs12(bytes: Buffer, password: string): AuthorityMaterial {
  const { pki, pkcs12 } = forge;
  let archive: ReturnType<typeof pkcs12.pkcs12FromAsn1>;
  try {
    archive = pkcs12.pkcs12FromAsn1(forge.asn1.fromDer(bytes.toString("binary")), false, password);
  } catch (cause) {
    const isPassword = /password|MAC could not be verified/i.test((cause as Error).message);
    throw new Error(
      isPassword
        ? "the password is not its own; give the right one with --ca-password-file"
        : "is no PKCS#12 archive that can be read",
    );
  }
  const bagsOf = (type: string | undefined) =>
    (archive.getBags({ bagType: type! })[type!] ?? []) as unknown as Bag[];
  const keys = [...bagsOf(pki.oids["pkcs8ShroudedKeyBag"]), ...bagsOf(pki.oids["keyBag"])];
  const certificates = bagsOf(pki.oids["certBag"]).map((bag) => certificateOf(bag));
  if (keys.length !== 1) throw new Error(`holds ${keys.length} private keys; one is needed`);
  const privateKey = keyOf(keys[0]!);
  const own = certificates.find((pem) =>
    new X509Certificate(pem).checkPrivateKey(createPrivateKey(privateKey)),
  );
  if (own === undefined) throw new Error("holds no certificate of its private key");
  return { certificate: own, privateKey, above: certificates.filter((pem) => pem !== own) };
}

/** Forge itself reads RSA only; for everything else it gives the structure, which is what a PEM holds. */
function certificateOf(bag: Bag & { readonly cert?: forge.pki.Certificate | null }): string {
  const asn1 = bag.cert ? forge.pki.certificateToAsn1(bag.cert) : bag.asn1;
  return new X509Certificate(derOf(asn1)).toString();
}

function keyOf(bag: Bag & { readonly key?: forge.pki.PrivateKey | null }): string {
  const der = bag.key
    ? derOf(forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(bag.key)))
    : derOf(bag.asn1);
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    .export({ type: "pkcs8", format: "pem" })
    .toString();
}

function derOf(asn1: Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(asn1).getBytes(), "binary");
}
