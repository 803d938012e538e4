import type { RequestView } from "./request-view.ts";

/** What the tree keeps: something with a place in the order that can say whether it takes a request. */
export interface Candidate {
  /** Position in the configuration; the lowest wins. */
  readonly order: number;
  /** Everything but the path is left to test here. */
  accepts(request: RequestView): boolean;
}

/**
 * Finds the first route in order whose exact path or prefix fits, in time that grows with the length of the path and not with
 * the number of routes (a radix tree; each node knows the prefixes that end there).
 */
export class PathTree<C extends Candidate> {
  readonly #root: Node<C> = newNode("");
  #isEmpty = true;

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** Candidates must come in their order. */
  add(kind: "exact" | "prefix", value: string, candidate: C): void {
    this.#isEmpty = false;
    const node = nodeFor(this.#root, value);
    (kind === "exact" ? node.exact : node.prefix).push(candidate);
  }

  /** The first candidate in order that fits `path[0..end)` and accepts, if it comes before `best`; else `best`. */
  first(path: string, end: number, request: RequestView, best: C | undefined): C | undefined {
    let node = this.#root;
    let at = 0;
    let found = best;
    for (;;) {
      if (node.prefix.length > 0) found = firstAccepting(node.prefix, request, found);
      if (at === end) return node.exact.length > 0 ? firstAccepting(node.exact, request, found) : found;
      const child: Node<C> | undefined = node.children.get(path.charCodeAt(at));
      if (child === undefined) return found;
      const next = at + child.edge.length;
      if (next > end || !path.startsWith(child.edge, at)) return found;
      node = child;
      at = next;
    }
  }
}

/** The first of `candidates` (in order) that accepts and comes before `best`; else `best`. */
export function firstAccepting<C extends Candidate>(
  candidates: readonly C[],
  request: RequestView,
  best: C | undefined,
): C | undefined {
  for (const candidate of candidates) {
    if (best !== undefined && candidate.order >= best.order) return best;
    if (candidate.accepts(request)) return candidate;
  }
  return best;
}

interface Node<C> {
  /** The characters between the parent and this node. */
  edge: string;
  prefix: C[];
  exact: C[];
  children: Map<number, Node<C>>;
}

function newNode<C>(edge: string): Node<C> {
  return { edge, prefix: [], exact: [], children: new Map() };
}

function nodeFor<C>(root: Node<C>, value: string): Node<C> {
  let node = root;
  let at = 0;
  while (at < value.length) {
    const child = node.children.get(value.charCodeAt(at));
    if (child === undefined) {
      const leaf = newNode<C>(value.slice(at));
      node.children.set(value.charCodeAt(at), leaf);
      return leaf;
    }
    const shared = sharedLength(child.edge, value, at);
    if (shared < child.edge.length) split(child, shared);
    at += shared;
    node = child;
  }
  return node;
}

function sharedLength(edge: string, value: string, at: number): number {
  let length = 0;
  while (length < edge.length && edge.charCodeAt(length) === value.charCodeAt(at + length)) length++;
  return length;
}

/** Cuts a node's edge at `length`: the node keeps the front, a new child takes its rest and all that it held. */
function split<C>(node: Node<C>, length: number): void {
  const rest: Node<C> = { ...node, edge: node.edge.slice(length) };
  node.edge = node.edge.slice(0, length);
  node.prefix = [];
  node.exact = [];
  node.children = new Map([[rest.edge.charCodeAt(0), rest]]);
}
