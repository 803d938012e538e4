import type { AccessTest, TextMatch } from "../model/authorization.ts";

/** How questions about the peer's SPIFFE ID travel: as one comparison of its text, which Envoy makes with the certificate's URI SAN. */

type PeerTest = Extract<AccessTest, { kind: "principal" | "source-namespace" | "service-account" }>;

export function toPrincipalName(test: PeerTest): TextMatch {
  if (test.kind === "principal") return test.match;
  if (test.kind === "service-account") return idPattern(escaped(test.namespace), escaped(test.name));
  return idPattern(namespacePattern(test.match), "[^/]+");
}

/** Finds again what `toPrincipalName` wrote; everything else is a comparison of the ID. */
export function fromPrincipalName(match: TextMatch): PeerTest {
  const parts = match.kind === "regex" ? idParts.exec(match.value) : null;
  if (parts !== null) {
    const namespace = fromPattern(parts[1]!);
    const account = fromPattern(parts[2]!);
    if (account?.kind === "present" && namespace !== undefined)
      return { kind: "source-namespace", match: namespace };
    if (account?.kind === "exact" && namespace?.kind === "exact")
      return { kind: "service-account", namespace: namespace.value, name: account.value };
  }
  return { kind: "principal", match };
}

function idPattern(namespace: string, account: string): TextMatch {
  return { kind: "regex", value: `spiffe://[^/]+/ns/${namespace}/sa/${account}` };
}

const idParts = /^spiffe:\/\/\[\^\/\]\+\/ns\/(.+)\/sa\/(.+)$/;

function namespacePattern(match: TextMatch): string {
  switch (match.kind) {
    case "exact":
      return escaped(match.value);
    case "prefix":
      return `${escaped(match.value)}[^/]*`;
    case "suffix":
      return `[^/]*${escaped(match.value)}`;
    case "contains":
      return `[^/]*${escaped(match.value)}[^/]*`;
    case "regex":
      return match.value;
    case "present":
      return "[^/]+";
  }
}

/** Only texts that were escaped come back as texts. */
function fromPattern(pattern: string): TextMatch | undefined {
  if (pattern === "[^/]+") return { kind: "present" };
  const starts = pattern.startsWith("[^/]*");
  const rest = starts ? pattern.slice(5) : pattern;
  const ends = rest.endsWith("[^/]*");
  const text = ends ? rest.slice(0, -5) : rest;
  const value = text.replace(/\\(.)/g, "$1");
  if (text === "" || escaped(value) !== text) return undefined;
  return { kind: starts ? (ends ? "contains" : "suffix") : ends ? "prefix" : "exact", value };
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
