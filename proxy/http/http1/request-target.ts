import { meshError } from "../../errors.ts";
import { isAuthority } from "./authority.ts";

/** Where a request goes, from its target and its Host field. */
export interface RequestTarget {
  readonly authority: string;
  /** Origin-form, or "*" for OPTIONS. */
  readonly path: string;
}

/**
 * Reads a target that consists of target octets only. For the absolute form the authority of the target wins over Host (RFC 9112
 * 3.2.2), which must be sound nonetheless. Throws MeshError `bad_request`.
 */
export function readTarget(method: string, target: string, host: string): RequestTarget {
  if (!isAuthority(host)) throw meshError("bad_request", "http1.invalid_host");
  if (target.charCodeAt(0) === 0x2f) return { authority: host, path: target };
  if (target === "*") {
    if (method !== "OPTIONS") throw meshError("bad_request", "http1.invalid_target");
    return { authority: host, path: target };
  }
  const { authority, path } = splitAbsoluteForm(target);
  if (!isAuthority(authority)) throw meshError("bad_request", "http1.invalid_host");
  return { authority, path: path === "" ? (method === "OPTIONS" ? "*" : "/") : path };
}

/** The scheme of the target is not taken over: what the connection speaks is a fact, the target is a claim. */
function splitAbsoluteForm(target: string): { authority: string; path: string } {
  const match = /^https?:\/\/([^/?]*)(.*)$/i.exec(target);
  if (match === null) throw meshError("bad_request", "http1.invalid_target");
  const rest = match[2]!;
  return { authority: match[1]!, path: rest.startsWith("?") ? `/${rest}` : rest };
}
