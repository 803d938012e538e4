import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { SecureContextOptions } from "node:tls";
import { createSecureContext } from "node:tls";
import { isDeepStrictEqual } from "node:util";
import type { KeyPairFiles, ServerTls } from "../../common/model/tls.ts";

/** PEM texts of what files hold, as node:tls takes them. */
export type TlsMaterial = Pick<SecureContextOptions, "cert" | "key" | "ca" | "crl">;

/**
 * What a server shows and what its clients must show, from files and from credentials of the proxy: folders below `secrets`, as mounted
 * Kubernetes Secrets look. Rejects with an Error that names the file and the reason.
 */
export async function readServerFiles(tls: ServerTls, secrets: string | undefined): Promise<TlsMaterial> {
  const pairs =
    tls.secret === undefined
      ? [...(tls.certificate ? [tls.certificate] : []), ...(tls.moreCertificates ?? [])]
      : [credentialPair(folderOf(tls.secret, secrets))];
  const caFile = tls.clientCaSecret
    ? join(folderOf(tls.clientCaSecret, secrets), "ca.crt")
    : tls.clientCaFile;
  const [first, ...others] = await Promise.all(
    pairs.map((pair, index) => readTlsFiles(pair, index === 0 ? caFile : undefined)),
  );
  const { crlFile } = tls.client ?? {};
  const crl = crlFile === undefined ? undefined : await read(crlFile, "the revocations");
  if (others.length === 0) return { ...first, ...(crl === undefined ? {} : { crl }) };
  const all = [first!, ...others];
  return {
    ...first,
    cert: all.map(({ cert }) => String(cert)),
    key: all.map(({ key }) => String(key)),
    ...(crl === undefined ? {} : { crl }),
  };
}

function credentialPair(folder: string): KeyPairFiles {
  return { certificateFile: join(folder, "tls.crt"), privateKeyFile: join(folder, "tls.key") };
}

/** A name that would lead out of the folder is none, whoever sent it. */
function folderOf(credential: string, secrets: string | undefined): string {
  if (secrets === undefined)
    throw new Error(`credential ${credential} is not there: the proxy was started without --secrets`);
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(credential) || credential.includes(".."))
    throw new Error(`${JSON.stringify(credential)} is not the name of a credential`);
  return join(secrets, credential);
}

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
  return isDeepStrictEqual(one, other);
}

async function read(path: string, noun: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new Error(`cannot read ${noun} ${path}: ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
}
