import "reflect-metadata";
import type { webcrypto } from "node:crypto";
import { createPrivateKey, randomBytes } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type { WorkloadIdentity } from "../../common/identity/spiffe.ts";
import { spiffeIdOf } from "../../common/identity/spiffe.ts";

/** A certificate with its private key, both PEM; the key as PKCS#8. */
export interface KeyedCertificate {
  readonly certificate: string;
  readonly privateKey: string;
}

/** Wall clock ms; X.509 has whole seconds. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Every key that we make: ECDSA P-256 with SHA-256. */
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** A root that signs itself. `name` tells roots of one trust domain apart. */
export async function makeRoot(
  trustDomain: string,
  name: string,
  validity: Validity,
): Promise<KeyedCertificate> {
  const keys = await generateKeys();
  const subject = distinguishedName(trustDomain, name);
  const certificate = await x509.X509CertificateGenerator.create({
    ...common(validity),
    subject,
    issuer: subject,
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(authorityUsages, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), privateKey: await exportKey(keys.privateKey) };
}

/** An authority below a root, which signs workloads only (path length 0). */
export async function makeIntermediate(
  trustDomain: string,
  name: string,
  validity: Validity,
  root: KeyedCertificate,
): Promise<KeyedCertificate> {
  const keys = await generateKeys();
  const issuer = new x509.X509Certificate(root.certificate);
  const certificate = await x509.X509CertificateGenerator.create({
    ...common(validity),
    subject: distinguishedName(trustDomain, name),
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: await importKey(root.privateKey),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(authorityUsages, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), privateKey: await exportKey(keys.privateKey) };
}

/** Names of a leaf: the workload's SPIFFE ID and, for servers that are found by name, DNS names and addresses. */
export interface LeafNames {
  readonly identity: WorkloadIdentity;
  readonly dns?: readonly string[];
  readonly addresses?: readonly string[];
}

/** Signs a workload's SVID for the public key (SubjectPublicKeyInfo). Its subject stays empty, so the name is critical (RFC 5280 4.1.2.6). */
export async function makeLeaf(
  publicKey: x509.PublicKey,
  { identity, dns = [], addresses = [] }: LeafNames,
  validity: Validity,
  authority: KeyedCertificate,
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const certificate = await x509.X509CertificateGenerator.create({
    ...common(validity),
    issuer: issuer.subject,
    publicKey,
    signingKey: await importKey(authority.privateKey),
    signingAlgorithm: signatureFor(issuer),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment,
        true,
      ),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(
        [
          { type: "url", value: spiffeIdOf(identity) },
          ...dns.map((value) => ({ type: "dns", value }) as const),
          ...addresses.map((value) => ({ type: "ip", value }) as const),
        ],
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return pemOf(certificate);
}

/** A fresh key pair for the control plane's own certificate: the public half to sign, the private one as PEM. */
export async function makeLeafKey(): Promise<{
  readonly publicKey: x509.PublicKey;
  readonly privateKey: string;
}> {
  const keys = await generateKeys();
  return {
    publicKey: await x509.PublicKey.create(keys.publicKey),
    privateKey: await exportKey(keys.privateKey),
  };
}

const authorityUsages = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign;

function common({ notBefore, notAfter }: Validity) {
  // RFC 5280 4.1.2.2: positive, at most 20 octets.
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  return {
    serialNumber: serial.toString("hex"),
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
    signingAlgorithm: algorithm,
  };
}

/** A plugged-in authority may have an RSA key. */
function signatureFor(issuer: x509.X509Certificate): { name: string; hash: string } {
  const { name } = issuer.publicKey.algorithm;
  return name.startsWith("RSA")
    ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
    : { name: "ECDSA", hash: "SHA-256" };
}

function distinguishedName(trustDomain: string, name: string): string {
  return `O=${trustDomain}, CN=${name}`;
}

function pemOf(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem").trim()}\n`;
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as Promise<webcrypto.CryptoKeyPair>;
}

async function exportKey(key: CryptoKey): Promise<string> {
  const der = await crypto.subtle.exportKey("pkcs8", key);
  return `${x509.PemConverter.encode(der, "PRIVATE KEY").trim()}\n`;
}

const imported = new Map<string, Promise<CryptoKey>>();

/** Keys of authorities are few, and each signs many times. */
function importKey(pem: string): Promise<CryptoKey> {
  const known = imported.get(pem);
  if (known !== undefined) return known;
  if (imported.size > 16) imported.clear();
  const key = toCryptoKey(pem);
  imported.set(pem, key);
  return key;
}

async function toCryptoKey(pem: string): Promise<CryptoKey> {
  const key = createPrivateKey(pem);
  const der = key.export({ type: "pkcs8", format: "der" });
  const parameters =
    key.asymmetricKeyType === "rsa"
      ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
      : { name: "ECDSA", namedCurve: curves[key.asymmetricKeyDetails?.namedCurve ?? ""] ?? "P-256" };
  return crypto.subtle.importKey("pkcs8", new Uint8Array(der), parameters, false, ["sign"]);
}

const curves: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384" };
