import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { splitPem } from "../../common/identity/certificate.ts";
import type { Generation } from "./generation.ts";
import { endOf } from "./generation.ts";
import { readPkcs12 } from "./pkcs12.ts";

/** Where an authority that an organisation already has is read from. */
export interface PluggedInPlace {
  /**
   * A folder with Istio's names (the Secret `cacerts`): ca-cert.pem, ca-key.pem, root-cert.pem, and cert-chain.pem when there are
   * authorities between; or a PKCS#12 file (`.p12`, `.pfx`) with key, certificate and the way up to the root.
   */
  readonly path: string;
  /** Of the PKCS#12 file: the file that holds its password. */
  readonly passwordFile?: string;
}

/** PEM texts, before anything is checked. */
export interface AuthorityMaterial {
  readonly certificate: string;
  readonly privateKey: string;
  /** Everything above the certificate, in any order, root included. */
  readonly above: readonly string[];
}

/**
 * Reads an authority and checks that it can sign for the mesh: the key is the certificate's, the certificate may sign, each link up to the
 * root holds, and nothing has expired by `now` (wall clock ms). Rejects with an Error that names file, reason and what to do; it never
 * quotes a key.
 */
export async function readPluggedIn(place: PluggedInPlace, now: number): Promise<Generation> {
  const material = (await stat(place.path).catch(unreadable(place.path))).isDirectory()
    ? await readFolder(place.path)
    : await readArchive(place);
  return check(material, place.path, now);
}

async function readFolder(folder: string): Promise<AuthorityMaterial> {
  const read = (name: string) => readFile(join(folder, name), "utf8").catch(unreadable(join(folder, name)));
  const [certificate, privateKey, root] = await Promise.all([
    read("ca-cert.pem"),
    read("ca-key.pem"),
    read("root-cert.pem"),
  ]);
  const between = await readFile(join(folder, "cert-chain.pem"), "utf8").catch(() => "");
  const [own = "", ...rest] = splitPem(certificate);
  return { certificate: own, privateKey, above: [...rest, ...splitPem(between), ...splitPem(root)] };
}

async function readArchive({ path, passwordFile }: PluggedInPlace): Promise<AuthorityMaterial> {
  const bytes = await readFile(path).catch(unreadable(path));
  const password =
    passwordFile === undefined
      ? ""
      : (await readFile(passwordFile, "utf8").catch(unreadable(passwordFile))).replace(/\r?\n$/, "");
  try {
    return readPkcs12(bytes, password);
  } catch (cause) {
    throw new Error(`${path}: ${(cause as Error).message}`, { cause });
  }
}

function check({ certificate, privateKey, above }: AuthorityMaterial, path: string, now: number): Generation {
  const refuse = (why: string): Error =>
    new Error(`the certificate authority of ${path} can't be used: ${why}`);
  const own = parse(certificate, refuse);
  if (!own.ca) throw refuse("its certificate is no authority's (CA:FALSE)");
  if (!hasKey(own, privateKey, refuse)) throw refuse("its key is not its certificate's");
  const others = above.map((pem) => ({ pem, parsed: parse(pem, refuse) }));
  const between: string[] = [];
  let top = { pem: certificate, parsed: own };
  while (top.parsed.issuer !== top.parsed.subject) {
    const next = others.find(
      ({ parsed }) => top.parsed.checkIssued(parsed) && top.parsed.verify(parsed.publicKey),
    );
    if (next === undefined)
      throw refuse(
        `nothing in it signed ${oneLine(top.parsed.subject)}; add what is between it and the root`,
      );
    if (next.parsed.issuer !== next.parsed.subject) between.push(next.pem);
    if (between.length > 8) throw refuse("its way to the root is longer than 8 certificates");
    top = next;
  }
  const generation: Generation = {
    id: own.fingerprint256.slice(0, 11).replaceAll(":", "").toLowerCase(),
    root: { certificate: top.pem },
    intermediate: { certificate, privateKey },
    between,
    phase: "signing",
    since: own.validFromDate.getTime(),
  };
  for (const pem of [certificate, ...between, top.pem]) {
    if (endOf(pem) > now) continue;
    const { subject, validTo } = parse(pem, refuse);
    throw refuse(`${oneLine(subject)} has expired ${validTo}; plug in a newer one`);
  }
  return generation;
}

function hasKey(certificate: X509Certificate, privateKey: string, refuse: (why: string) => Error): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(privateKey));
  } catch {
    throw refuse("its key can't be read; give it as PEM without a passphrase");
  }
}

function parse(pem: string, refuse: (why: string) => Error): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw refuse("it holds what is no certificate in PEM");
  }
}

function oneLine(subject: string): string {
  return subject.split("\n").reverse().join(", ");
}

function unreadable(path: string): (cause: NodeJS.ErrnoException) => never {
  return (cause) => {
    throw new Error(`cannot read the certificate authority ${path}: ${cause.code}`, { cause });
  };
}
