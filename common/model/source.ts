/**
 * Provenance: the resource that a route, cluster or listener came from. It travels in xDS metadata (`filter_metadata.weft`)
 * and shows in `weft explain`, the access log (`%ROUTE_SOURCE%`) and NACKs.
 */
export interface Source {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Path as the control plane sees it, relative to its config folder. */
  readonly file?: string;
  /** 1-based line of the rule itself (not only of the document). */
  readonly line?: number;
}

/** `VirtualService/default/reviews (routes.yaml:12)` */
export function formatSource(source: Source): string {
  const where = source.file === undefined ? "" : ` (${source.file}${source.line ? `:${source.line}` : ""})`;
  return `${source.kind}/${source.namespace}/${source.name}${where}`;
}
