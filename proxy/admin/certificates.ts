import { X509Certificate } from "node:crypto";
import { splitPem } from "../../common/identity/certificate.ts";

/** A certificate as the page shows it; a key is never part of it. */
export interface CertificateView {
  /** SPIFFE ID and further names; "" for authorities. */
  readonly names: string;
  readonly subject: string;
  readonly issuer: string;
  readonly serialNumber: string;
  readonly validFrom: string;
  readonly validTo: string;
  /** Negative when it has expired. */
  readonly secondsLeft: number;
  readonly pem: string;
}

export interface CertificatesView {
  /** Leaf first; empty while there is none. */
  readonly chain: readonly CertificateView[];
  readonly roots: readonly CertificateView[];
}

/** What this workload proves who it is with, and whom it trusts. `now`: wall clock ms. */
export function certificatesView(
  current: { readonly chain: string; readonly roots: string } | undefined,
  now: number,
): CertificatesView {
  if (current === undefined) return { chain: [], roots: [] };
  const show = (pem: string) => certificateView(pem, now);
  return { chain: splitPem(current.chain).map(show), roots: splitPem(current.roots).map(show) };
}

function certificateView(pem: string, now: number): CertificateView {
  const certificate = new X509Certificate(pem);
  const { subjectAltName = "", serialNumber, validFromDate, validToDate } = certificate;
  const oneLine = (name: string | undefined) => (name ?? "").split("\n").join(", ");
  return {
    names: subjectAltName,
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    serialNumber,
    validFrom: validFromDate.toISOString(),
    validTo: validToDate.toISOString(),
    secondsLeft: Math.round((validToDate.getTime() - now) / 1000),
    pem,
  };
}
