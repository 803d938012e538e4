import { X509Certificate } from "node:crypto";
import type { Metadata } from "@grpc/grpc-js";
import { readIdentity } from "../../common/identity/certificate.ts";
import type { PeerIdentity } from "../../common/model/identity.ts";
import type { ProxyNode } from "../../common/model/node.ts";

/** What a caller has shown: both may be absent. */
export interface CallerProof {
  /** From a certificate that chains to a root of ours and has not expired. */
  readonly certificate?: PeerIdentity;
  /** Of `authorization: Bearer …`. */
  readonly token?: string;
}

/** Says who calls. Undefined: nobody that we know. Rejects when that can't be told now. */
export type Authenticate = (proof: CallerProof) => Promise<PeerIdentity | undefined>;

/** What grpc-js tells of a call's connection. */
interface AuthenticCall {
  readonly metadata: Metadata;
  getAuthContext(): { readonly sslPeerCertificate?: { readonly raw?: Buffer } };
}

/** `now`: wall clock ms. */
export function proofOf(call: AuthenticCall, now: number): CallerProof {
  const raw = call.getAuthContext().sslPeerCertificate?.raw;
  const read = raw && readIdentity(new X509Certificate(raw), now);
  const [authorization] = call.metadata.get("authorization");
  const token = typeof authorization === "string" ? /^Bearer (\S+)$/i.exec(authorization)?.[1] : undefined;
  return {
    ...(read?.ok ? { certificate: read.peer } : {}),
    ...(token === undefined ? {} : { token }),
  };
}

/** Why a node may not be served to this caller; undefined when it is its own. Another's config would tell what only that one may know. */
export function notOwnNode(node: ProxyNode, caller: PeerIdentity): string | undefined {
  if (node.namespace === caller.namespace && node.serviceAccount === caller.serviceAccount) return undefined;
  return `${caller.principal} is not ${shown(node.serviceAccount)} of namespace ${shown(node.namespace)}, as which ${shown(node.id)} introduces itself`;
}

/** A text of a caller's for the log: short, and of one line. */
function shown(text: string): string {
  const short = text.length > 100 ? `${text.slice(0, 100)}…` : text;
  return /^[\x21-\x7e…]+$/.test(short) ? short : JSON.stringify(short);
}
