import type { PeerIdentity } from "../model/identity.ts";

/** What a workload's SPIFFE ID is made of, in Istio's form. */
export interface WorkloadIdentity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** Istio's. */
export const defaultTrustDomain = "cluster.local";

/** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` */
export function spiffeIdOf({ trustDomain, namespace, serviceAccount }: WorkloadIdentity): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}

/**
 * Reads a SPIFFE ID as its specification has it (section 2): at most 2,048 octets, trust domain of `a-z0-9.-_`, path segments of
 * `a-zA-Z0-9.-_` none of which is empty, `.` or `..`. Undefined for everything else, the trust domain's own ID (no path) included.
 */
export function parseSpiffeId(text: string): PeerIdentity | undefined {
  if (text.length > 2_048) return undefined;
  const match = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)+)$/.exec(text);
  if (match === null) return undefined;
  const trustDomain = match[1]!;
  const segments = match[2]!.slice(1).split("/");
  if (segments.includes(".") || segments.includes("..")) return undefined;
  const isIstios = segments.length === 4 && segments[0] === "ns" && segments[2] === "sa";
  return Object.freeze({
    spiffeId: text,
    principal: text.slice("spiffe://".length),
    trustDomain,
    namespace: isIstios ? segments[1]! : "",
    serviceAccount: isIstios ? segments[3]! : "",
  });
}

/** Whether a text can be a trust domain. */
export function isTrustDomain(text: string): boolean {
  return /^[a-z0-9._-]{1,255}$/.test(text);
}

/** Whether a namespace or service account can stand in a SPIFFE ID as Kubernetes would name it (RFC 1123). */
export function isIdentityName(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(text);
}
