/** True when `pattern` (exact, `*.suffix` or `*`) covers `host`, which may be a pattern itself. */
export function covers(pattern: string, host: string): boolean {
  if (pattern === host || pattern === "*") return true;
  // "*.example.com" covers what ends in ".example.com", and so a narrower pattern such as "*.eu.example.com".
  return pattern.startsWith("*") && host.length > pattern.length - 1 && host.endsWith(pattern.slice(1));
}

/** The narrower of two host patterns, or undefined when no host satisfies both. */
export function intersect(a: string, b: string): string | undefined {
  if (covers(a, b)) return b;
  return covers(b, a) ? a : undefined;
}

/** Sorts host patterns so that the first one that covers a host is the most specific: exact, then longest. */
export function bySpecificity(a: string, b: string): number {
  const wild = Number(a.startsWith("*")) - Number(b.startsWith("*"));
  return wild || b.length - a.length || (a < b ? -1 : Number(a > b));
}

/** Whether something of `owner`'s namespace that says `exportTo` may be seen from `viewer`'s (Istio's exportTo). */
export function isVisible(exportTo: readonly string[], owner: string, viewer: string): boolean {
  if (exportTo.length === 0) return true;
  return exportTo.some((scope) => scope === "*" || scope === viewer || (scope === "." && owner === viewer));
}

/** Splits `reviews.default.svc.cluster.local`; undefined for a host that is not a name of the cluster's own DNS. */
export function clusterLocalName(hostname: string): { name: string; namespace: string } | undefined {
  const found = /^([^.*]+)\.([^.]+)\.svc\.cluster\.local$/.exec(hostname);
  return found === null ? undefined : { name: found[1]!, namespace: found[2]! };
}
