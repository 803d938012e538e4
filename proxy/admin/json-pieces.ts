/** Deeper than this, a member is printed as one: a route, a cluster, the endpoints of a cluster. */
const maxDepth = 5;

/**
 * Prints a value as `JSON.stringify(value, …, 2)` does, piece by piece, so that who prints what a large mesh made large can let requests go
 * first now and then. Bytes are printed as text.
 */
export function* jsonPieces(value: unknown, depth = 0): Generator<string> {
  if (depth === maxDepth || !isPrintedByParts(value)) {
    const text = JSON.stringify(value, bytesAsText, 2) as string | undefined;
    yield (text ?? "null").replaceAll("\n", `\n${"  ".repeat(depth)}`);
    return;
  }
  const isList = Array.isArray(value);
  const members = isList
    ? value.map((member: unknown) => ["", member] as const)
    : Object.entries(value).filter(([, member]) => member !== undefined && typeof member !== "function");
  const [open, close] = isList ? "[]" : "{}";
  if (members.length === 0) {
    yield `${open}${close}`;
    return;
  }
  const inner = `\n${"  ".repeat(depth + 1)}`;
  yield open!;
  let isFirst = true;
  for (const [name, member] of members) {
    yield `${isFirst ? "" : ","}${inner}${isList ? "" : `${JSON.stringify(name)}: `}`;
    isFirst = false;
    yield* jsonPieces(member, depth + 1);
  }
  yield `\n${"  ".repeat(depth)}${close}`;
}

function isPrintedByParts(value: unknown): value is object {
  if (Array.isArray(value)) return true;
  if (typeof value !== "object" || value === null || "toJSON" in value) return false;
  return Object.getPrototypeOf(value) === Object.prototype;
}

/** Reads the member from its holder, because a Buffer has turned itself into numbers before a replacer sees it. */
function bytesAsText(this: unknown, key: string, member: unknown): unknown {
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Uint8Array ? Buffer.from(original).toString("utf8") : member;
}
