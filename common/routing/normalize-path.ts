import type { PathNormalization } from "../model/request-entry.ts";
import { pathEnd } from "./request-view.ts";

/** What becomes of a path that can't be brought to its one form. */
export type PathVerdict =
  /** Answered with 400; `why` is one of a few fixed words. */
  | { readonly kind: "reject"; readonly why: string }
  /** The client is told to ask for this path, query included (Envoy's UNESCAPE_AND_REDIRECT). */
  | { readonly kind: "redirect"; readonly path: string };

/** The canonical path with its query, or what is done instead. The very string that went in when it was canonical already. */
export type PathNormalizer = (path: string) => string | PathVerdict;

/**
 * Makes a normalization ready; undefined when it leaves every path as it is. What comes out is a fixed point: proxies on the way can
 * apply it again. Only the path is touched, never the query. Differs from Envoy where that decodes twice (`%%330`) and in `//` after
 * dot segments, which it treats alike.
 */
export function compilePathNormalization(normalization: PathNormalization): PathNormalizer | undefined {
  const { mode, parameters, escapedSlashes } = normalization;
  const decodes = mode === "decode-and-merge-slashes" || escapedSlashes.startsWith("unescape");
  const plan: Plan = {
    isBase: mode !== "none",
    merges: mode === "merge-slashes" || mode === "decode-and-merge-slashes",
    parameters,
    decodesSlashes: decodes,
    refusesSlashes: escapedSlashes === "reject" && mode !== "decode-and-merge-slashes",
    redirects: escapedSlashes === "unescape-and-redirect" && mode !== "decode-and-merge-slashes",
  };
  if (mode === "none" && parameters === "keep" && escapedSlashes === "keep") return undefined;
  const suspicious = suspiciousCharacters(plan);
  return (path) => (suspicious.test(path) ? normalize(path, plan) : path);
}

interface Plan {
  readonly isBase: boolean;
  readonly merges: boolean;
  readonly parameters: PathNormalization["parameters"];
  readonly decodesSlashes: boolean;
  readonly refusesSlashes: boolean;
  readonly redirects: boolean;
}

/** Finds every path that could change; also some, such as one with an escaped space, that do not. */
function suspiciousCharacters({ isBase, merges, parameters }: Plan): RegExp {
  if (!isBase) return parameters === "keep" ? /%/ : /[%;]/;
  if (parameters === "keep") return merges ? /[%\\]|\/[./]/ : /[%\\]|\/\./;
  return merges ? /[%\\;]|\/[./]/ : /[%\\;]|\/\./;
}

function normalize(target: string, plan: Plan): string | PathVerdict {
  const end = pathEnd(target);
  const sent = target.slice(0, end);
  // "*" of OPTIONS is no path.
  if (sent.charCodeAt(0) !== slash) return target;
  const decoded = decode(sent, plan);
  if (typeof decoded !== "string") return decoded;
  let path = plan.isBase ? decoded.replaceAll("\\", "/") : decoded;
  if (plan.parameters === "strip") path = path.replace(/;[^/]*/g, "");
  if (plan.isBase) path = removeDotSegments(path);
  if (plan.merges) path = path.replace(/\/{2,}/g, "/");
  if (path === sent) return target;
  const whole = path + target.slice(end);
  return plan.redirects && hasEscapedSlash(sent) ? { kind: "redirect", path: whole } : whole;
}

/** Decodes what needs no escape, and slashes where the plan says so; refuses what no two recipients read alike. */
function decode(path: string, plan: Plan): string | PathVerdict {
  if (plan.parameters === "reject" && /;|%3b/i.test(path)) return refuse("path_parameters");
  if (!path.includes("%")) return path;
  if (path.includes("%00")) return refuse("nul_in_path");
  if (plan.refusesSlashes && hasEscapedSlash(path)) return refuse("escaped_slashes");
  let out = "";
  for (let i = 0; i < path.length; i++) {
    const code = path[i] === "%" ? hexAt(path, i + 1) : -1;
    const isDecoded =
      code !== -1 &&
      ((plan.isBase && isUnreserved[code] === 1) ||
        (plan.decodesSlashes && (code === slash || code === backslash)));
    // A decoded digit behind a stray "%" would make an escape that was not sent.
    if (!isDecoded || /%[0-9A-Fa-f]?$/.test(out)) out += path[i]!;
    else {
      out += String.fromCharCode(code);
      i += 2;
    }
  }
  return out;
}

/** RFC 3986 5.2.4, but a segment before `..` counts also when it is empty: `/a//../b` is `/a/b`. */
function removeDotSegments(path: string): string {
  if (!path.includes("/.")) return path;
  const kept: string[] = [];
  const segments = path.split("/");
  const last = segments.length - 1;
  for (let i = 1; i <= last; i++) {
    const segment = segments[i]!;
    if (segment === "..") kept.pop();
    else if (segment !== ".") kept.push(segment);
    // What ends in a dot segment names a folder.
    if (i === last && (segment === "." || segment === "..")) kept.push("");
  }
  return `/${kept.join("/")}`;
}

function refuse(why: string): PathVerdict {
  return { kind: "reject", why };
}

function hasEscapedSlash(path: string): boolean {
  return /%(?:2f|5c)/i.test(path);
}

const slash = 0x2f;
const backslash = 0x5c;

/** RFC 3986 2.3. */
const isUnreserved: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) =>
  /[A-Za-z0-9\-._~]/.test(String.fromCharCode(code)) ? 1 : 0,
);

/** The value of two hexadecimal digits at an index, or -1. */
function hexAt(text: string, index: number): number {
  const digits = text.slice(index, index + 2);
  return /^[0-9A-Fa-f]{2}$/.test(digits) ? Number.parseInt(digits, 16) : -1;
}
