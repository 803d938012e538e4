import { readFile } from "node:fs/promises";
import type { SecureContextOptions } from "node:tls";
import { createSecureContext } from "node:tls";
import type { KeyPairFiles } from "../../common/model/tls.ts";

/** PEM texts of what files hold, as node:tls takes them. */
export type TlsMaterial = Pick<SecureContextOptions, "cert" | "key" | "ca">;

/**
 * Reads a key pair and authorities. Rejects with an Error that names the file and the reason: not there, no PEM, or a key that is
 * not the certificate's.
 */
export async function readTlsFiles(
  pair: KeyPairFiles | undefined,
  caFile: string | undefined,
): Promise<TlsMaterial> {
  const [cert, key, ca] = await Promise.all([
    pair && read(pair.certificateFile, "the certificate"),
    pair && read(pair.privateKeyFile, "the private key"),
    caFile === undefined ? undefined : read(caFile, "the CA certificates"),
  ]);
  if (ca !== undefined && !ca.includes("-----BEGIN CERTIFICATE-----"))
    throw new Error(`${caFile} holds no certificate in PEM`);
  const material = { ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }) };
  try {
    createSecureContext(material);
  } catch (cause) {
    const files = [pair?.certificateFile, pair?.privateKeyFile, caFile].filter((file) => file !== undefined);
    throw new Error(`${files.join(", ")}: ${(cause as Error).message}`, { cause });
  }
  return material;
}

/** Equal for equal content. */
export function sameMaterial(one: TlsMaterial, other: TlsMaterial): boolean {
  return one.cert === other.cert && one.key === other.key && one.ca === other.ca;
}

async function read(path: string, noun: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new Error(`cannot read ${noun} ${path}: ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
}
