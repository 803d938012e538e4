import type { Document, Node, ParsedNode, Scalar } from "yaml";
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseAllDocuments, stringify } from "yaml";
import type { FilePosition } from "../../common/base/problem.ts";
import type { FieldPath, FieldProblem } from "./field-problem.ts";
import { maxDepth } from "./plain-object.ts";

/** The only file that sees the `yaml` library: text in, plain values and positions out. JSON is read as the YAML it is. */
export interface YamlDocument {
  /** Plain JSON values; what could be read when there are problems. undefined for an empty document. */
  readonly value: unknown;
  /** Faults of form: syntax, duplicate keys, aliases out of hand. `at` is where they are; the path may be empty. */
  readonly problems: readonly YamlProblem[];
  /** Where the document begins. */
  readonly start: FilePosition;
  /** Where a field is written, or its nearest parent when it is missing. */
  locate(path: FieldPath): FilePosition;
}

export interface YamlProblem extends FieldProblem {
  readonly at: FilePosition;
}

/** How many values aliases may add to one document; a bomb wants millions from a dozen lines. */
export const maxAliasedValues = 10_000;

/** One slip in YAML makes many errors; the first ones say where to look. */
const maxSyntaxErrors = 3;

/** Reads every document of a text whose first line is `firstLine` of the file. Never throws. */
export function parseYaml(text: string, file: string, firstLine = 1): readonly YamlDocument[] {
  const lines = new LineCounter();
  const position = (offset: number): FilePosition => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1) + firstLine - 1, column: Math.max(col, 1) };
  };
  // Duplicate keys are found below in linear time; the library compares each key with all before it.
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: "silent",
    version: "1.2",
  });
  return [...documents].map((document) => readDocument(document, position));
}

/** Writes an object as one YAML document without aliases. */
export function formatYaml(object: unknown): string {
  return stringify(object, { aliasDuplicateObjects: false, lineWidth: 110 });
}

function readDocument(
  document: Document<ParsedNode>,
  position: (offset: number) => FilePosition,
): YamlDocument {
  const contents = document.contents;
  const start = position(contents?.range[0] ?? document.range?.[0] ?? 0);
  const problems: YamlProblem[] = document.errors.slice(0, maxSyntaxErrors).map((error) => ({
    path: [],
    why:
      error.code === "RESOURCE_EXHAUSTION"
        ? `is nested deeper than ${maxDepth} levels`
        : yamlReason(error.message),
    hint: "the document is not valid YAML from here on",
    at: position(error.pos[0]),
  }));
  const reader = new NodeReader(problems, position);
  const value = contents === null ? undefined : reader.read(contents, []);
  return { value, problems, start, locate: (path) => locate(contents, path, position) ?? start };
}

/** Turns nodes into plain values and notes on the way what is wrong with them. */
class NodeReader {
  readonly #anchors = new Map<string, Node>();
  readonly #problems: YamlProblem[];
  readonly #position: (offset: number) => FilePosition;
  #aliasDepth = 0;
  #aliased = 0;
  #gaveUp = false;

  constructor(problems: YamlProblem[], position: (offset: number) => FilePosition) {
    this.#problems = problems;
    this.#position = position;
  }

  read(node: unknown, path: FieldPath): unknown {
    if (this.#gaveUp || !isNode(node)) return null;
    if (this.#aliasDepth > 0 && ++this.#aliased > maxAliasedValues) {
      return this.#giveUp(
        node,
        path,
        `aliases add more than ${maxAliasedValues} values`,
        "write the values out",
      );
    }
    if (path.length > maxDepth) {
      return this.#giveUp(
        node,
        path.slice(0, 4),
        `is nested deeper than ${maxDepth} levels`,
        "no resource needs this depth",
      );
    }
    if (isAlias(node)) return this.#readAlias(node.source, node, path);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isMap(node)) return this.#readMap(node.items, path);
    if (isSeq(node)) return node.items.map((item, index) => this.read(item, [...path, index]));
    if (isScalar(node)) return this.#readScalar(node, path);
    return null;
  }

  #readAlias(name: string, node: Node, path: FieldPath): unknown {
    const target = this.#anchors.get(name);
    if (target === undefined)
      return this.#refuse(
        node,
        path,
        `the alias *${name} has no anchor before it`,
        `write &${name} where the value first occurs`,
      );
    this.#aliasDepth++;
    const value = this.read(target, path);
    this.#aliasDepth--;
    return value;
  }

  #readMap(items: readonly { key: unknown; value: unknown }[], path: FieldPath): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    const seen = new Set<string>();
    for (const { key, value } of items) {
      if (!isScalar(key) || key.value === null || typeof key.value === "object") {
        this.#refuse(
          isNode(key) ? key : undefined,
          path,
          "has a key that is not text",
          "keys are plain text",
        );
        continue;
      }
      const name = String(key.value);
      const inner = [...path, name];
      if (seen.has(name)) {
        this.#refuse(key, inner, `the key ${JSON.stringify(name)} is given twice`, "keep one of them");
        continue;
      }
      seen.add(name);
      // Assignment would take "__proto__" for the prototype.
      Object.defineProperty(map, name, {
        value: this.read(value, inner),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    return map;
  }

  #readScalar(node: Scalar, path: FieldPath): unknown {
    const value = node.value;
    if (typeof value === "bigint") return Number(value);
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    return this.#refuse(
      node,
      path,
      `${node.source ?? "this"} is no value that JSON has`,
      "put it in quotes or write a plain number",
    );
  }

  #refuse(node: Node | undefined, path: FieldPath, why: string, hint: string): null {
    this.#problems.push({ path, why, hint, at: this.#position(node?.range?.[0] ?? 0) });
    return null;
  }

  #giveUp(node: Node, path: FieldPath, why: string, hint: string): null {
    this.#gaveUp = true;
    return this.#refuse(node, path, why, hint);
  }
}

/** A field counts as standing where its key stands, a list item where it begins. */
function locate(
  contents: Node | null,
  path: FieldPath,
  position: (offset: number) => FilePosition,
): FilePosition | undefined {
  let node: unknown = contents;
  let found: FilePosition | undefined;
  for (const part of path) {
    let key: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === part);
      key = pair?.key;
      node = pair?.value;
    } else if (isSeq(node) && typeof part === "number") {
      key = node.items[part];
      node = key;
    } else {
      break;
    }
    const offset = isNode(key) ? key.range?.[0] : undefined;
    if (offset === undefined) break;
    found = position(offset);
  }
  return found;
}

function yamlReason(message: string): string {
  return message.replace(/\.$/, "");
}
