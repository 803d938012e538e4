import type { KeyObject } from "node:crypto";
import { createPublicKey, generateKeyPair, sign } from "node:crypto";
import { promisify } from "node:util";
import { der } from "./der.ts";

/** A fresh ECDSA P-256 key. */
export async function makeKey(): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
  return privateKey;
}

/**
 * A certificate signing request (PKCS#10, RFC 2986) in PEM with an empty subject, signed with the key itself. The SPIFFE ID is asked for
 * as authorities expect it; which one is given is theirs to say. Written out here, because a library for it is larger than the rest of a
 * sidecar's TLS.
 */
export function signingRequest(privateKey: KeyObject, spiffeId: string): string {
  const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const names = der.sequence(der.context(uriName, false, Buffer.from(spiffeId, "latin1")));
  const extension = der.sequence(der.objectId(subjectAltName), der.boolean(true), der.octets(names));
  const attribute = der.sequence(der.objectId(extensionRequest), der.set(der.sequence(extension)));
  const content = der.sequence(
    der.smallInteger(0),
    der.sequence(),
    publicKey,
    der.context(0, true, attribute),
  );
  const signature = sign("sha256", content, privateKey);
  const request = der.sequence(content, der.sequence(der.objectId(ecdsaWithSha256)), der.bits(signature));
  const lines = Buffer.from(request)
    .toString("base64")
    .replaceAll(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines}\n-----END CERTIFICATE REQUEST-----\n`;
}

const ecdsaWithSha256 = "1.2.840.10045.4.3.2";
const extensionRequest = "1.2.840.113549.1.9.14";
const subjectAltName = "2.5.29.17";
const uriName = 6;
