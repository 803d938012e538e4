import { X509Certificate } from "node:crypto";
import type { PeerIdentity } from "../model/identity.ts";
import { parseSpiffeId } from "./spiffe.ts";

/** Either who a certificate is for, or why it is nobody's. */
export type ReadIdentity =
  | { readonly ok: true; readonly peer: PeerIdentity }
  /** One phrase for logs, such as `has 2 URI names`. */
  | { readonly ok: false; readonly why: string };

/**
 * Who a leaf certificate is for, by SPIFFE's rules for X.509 SVIDs (sections 2, 4 and 5.2): exactly one URI among its names, a
 * SPIFFE ID, and no authority. That it chains to a trusted root is the handshake's to verify. `now`: wall clock ms; a resumed TLS session
 * does not look at the time again.
 */
export function readIdentity(certificate: X509Certificate, now: number): ReadIdentity {
  const uris = uriNames(certificate);
  if (uris.length !== 1)
    return no(uris.length === 0 ? "has no URI name (SPIFFE ID)" : `has ${uris.length} URI names`);
  const peer = parseSpiffeId(uris[0]!);
  if (peer === undefined) return no(`has the URI name ${JSON.stringify(uris[0])}, which is no SPIFFE ID`);
  if (certificate.ca) return no("is an authority's (CA:TRUE)");
  if (now >= certificate.validToDate.getTime()) return no(`has expired ${certificate.validTo}`);
  return { ok: true, peer };
}

/** The URIs of a certificate's subject alternative names, quoted ones as they stand. */
export function uriNames({ subjectAltName }: Pick<X509Certificate, "subjectAltName">): readonly string[] {
  return namesOf(subjectAltName, "URI");
}

/** The names of one kind (`DNS`, `URI`). Node puts names that could be taken for several into quotes, as JSON. */
export function namesOf(subjectAltName: string | undefined, wanted: string): readonly string[] {
  const names: string[] = [];
  for (const [, kind, name] of (subjectAltName ?? "").matchAll(
    /(?:^|, )([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g,
  )) {
    if (kind === wanted) names.push(name!);
  }
  return names;
}

function no(why: string): ReadIdentity {
  return { ok: false, why };
}

const certificateBlock = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** The certificates of a PEM text, each with a final line feed; what is between them is left out. */
export function splitPem(text: string): readonly string[] {
  return Array.from(text.matchAll(certificateBlock), ([block]) => `${block}\n`);
}

/** A leaf with its way up, and the roots that came with it. */
export interface SplitChain {
  /** Leaf first. */
  readonly chain: readonly string[];
  readonly roots: readonly string[];
}

/**
 * Sorts what a certificate service answers: the leaf, authorities between, and any number of roots (which signed themselves). Throws an
 * Error when one of them is no certificate, or there is no leaf.
 */
export function splitChain(pems: readonly string[]): SplitChain {
  const certificates = pems.flatMap(splitPem).map((pem) => ({ pem, parsed: new X509Certificate(pem) }));
  if (certificates.length === 0) throw new Error("the answer holds no certificate");
  const isRoot = ({ parsed }: { parsed: X509Certificate }) => parsed.ca && parsed.issuer === parsed.subject;
  const [leaf, ...others] = certificates;
  return {
    chain: [leaf!.pem, ...others.filter((one) => !isRoot(one)).map(({ pem }) => pem)],
    roots: others.filter(isRoot).map(({ pem }) => pem),
  };
}
