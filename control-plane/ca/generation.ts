import { X509Certificate } from "node:crypto";
import type { KeyedCertificate } from "./certificates.ts";

/** A root and what signs below it. */
export interface Generation {
  readonly id: string;
  /** The private key is absent when the root was plugged in. */
  readonly root: Pick<KeyedCertificate, "certificate"> & Partial<KeyedCertificate>;
  readonly intermediate: KeyedCertificate;
  /** Authorities between the intermediate and the root, nearest first; PEM. */
  readonly between: readonly string[];
  /** `waiting`: trusted, does not sign yet; `leaving`: trusted, signs no more. */
  readonly phase: "waiting" | "signing" | "leaving";
  /** Wall clock ms when the phase began. */
  readonly since: number;
}

/** When nothing signed below it holds any more, wall clock ms. */
export function expiryOf({ root, intermediate, between }: Generation): number {
  return Math.min(...[root.certificate, intermediate.certificate, ...between].map(endOf));
}

/** Wall clock ms. */
export function startOf(pem: string): number {
  return new X509Certificate(pem).validFromDate.getTime();
}

/** Wall clock ms. */
export function endOf(pem: string): number {
  return new X509Certificate(pem).validToDate.getTime();
}

/** For metrics: when each certificate of a generation ends, wall clock ms. */
export function expiries({ root, intermediate, phase }: Generation): {
  readonly phase: Generation["phase"];
  readonly root: number;
  readonly intermediate: number;
} {
  return { phase, root: endOf(root.certificate), intermediate: endOf(intermediate.certificate) };
}
