import type { FilePosition, Problem } from "../../common/base/problem.ts";
import { decodeObject } from "./decode.ts";
import type { FieldPath } from "./field-problem.ts";
import { formatFieldPath } from "./field-problem.ts";
import { isDnsLabel, isDnsSubdomain } from "./fields/names.ts";
import { defaultNamespace } from "./metadata.ts";
import { maxDepth } from "./plain-object.ts";
import { recognize } from "./recognize.ts";
import type { Kind, Resource, ResourceKey } from "./resource.ts";
import { convertRetired } from "./retired/convert.ts";
import type { RetiredObject } from "./retired/retired-object.ts";
import { readRetired } from "./retired/retired-object.ts";
import { splitDocuments } from "./split-documents.ts";
import type { YamlDocument } from "./yaml.ts";
import { parseYaml } from "./yaml.ts";

/** What a text of YAML or JSON documents holds. */
export interface DecodedText {
  readonly resources: readonly Resource[];
  /** Errors of the documents that were refused and warnings of those that were taken, in reading order. */
  readonly problems: readonly Problem[];
  /** Objects that are none of the mesh's business, such as Deployments. */
  readonly skipped: readonly Skipped[];
  /**
   * Which resources the refused documents were meant to be, as far as that can be read: their last good version should stay.
   */
  readonly refused: readonly ResourceKey[];
  /** Objects of kinds that Istio took away, whose successors are among the resources. */
  readonly retired: readonly RetiredDocument[];
  /** True when a refused document did not even say which resource it is. */
  readonly hasUnnamed: boolean;
}

/** An object of a retired kind and where it stands. */
export interface RetiredDocument {
  readonly object: RetiredObject;
  readonly successor: string;
  locate(path: FieldPath): FilePosition;
}

export interface Skipped {
  readonly at: FilePosition;
  readonly why: string;
}

export interface TextLimits {
  readonly maxBytes: number;
  readonly maxDocumentBytes: number;
  readonly maxDocuments: number;
}

/** Far above what a mesh needs (Kubernetes ends at 1.5 MB an object), low enough that reading stays a matter of seconds. */
export const textLimits: TextLimits = {
  maxBytes: 16 * 1024 * 1024,
  maxDocumentBytes: 4 * 1024 * 1024,
  maxDocuments: 20_000,
};

/** Reads every resource in a text; one bad document never takes the others down. Never throws. */
export function decodeText(text: string, fileName: string, options: DecodeTextOptions = {}): DecodedText {
  const steps = decodeInSteps(text, fileName, options);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

export interface DecodeTextOptions {
  /** ms since the epoch, for `createdAt`. */
  readonly now?: number;
  readonly limits?: TextLimits;
  /** What an earlier reading of the same file left; unchanged documents on unchanged lines are taken from it. */
  readonly cache?: DocumentCache;
}

/** The documents of one file as they were read, by their text and line. */
export type DocumentCache = Map<string, DecodedText>;

/** The same in steps, one per document, for who must not hold up others while reading much. */
export function* decodeInSteps(
  text: string,
  fileName: string,
  { now = 0, limits = textLimits, cache = new Map() }: DecodeTextOptions = {},
): Generator<void, DecodedText> {
  const start: FilePosition = { file: fileName, line: 1 };
  const bytes = Buffer.byteLength(text);
  if (bytes > limits.maxBytes) {
    return refuseAll(
      start,
      `the file has ${bytes} bytes: the limit is ${limits.maxBytes}`,
      "split it into several files",
    );
  }
  if (countDocumentMarks(text) > limits.maxDocuments) {
    const why = `the file has more than ${limits.maxDocuments} documents`;
    return refuseAll(start, why, "split it into several files");
  }
  const collected = emptyCollection();
  const before = new Map(cache);
  cache.clear();
  for (const { text: part, line } of splitDocuments(text)) {
    const id = `${line}\n${part}`;
    const document = before.get(id) ?? decodePart(part, { ...start, line }, now, limits);
    cache.set(id, document);
    collect(collected, document);
    yield;
  }
  if (collected.retired.length > 0) readRetiredDocuments(collected, now);
  return collected;
}

/** Puts the successors of retired objects in their place. Those of one file are read together, because they refer to each other. */
function readRetiredDocuments(collected: Collected, now: number): void {
  const { objects, problems } = convertRetired(collected.retired.map(({ object }) => object));
  const documentOf = (object: RetiredObject) =>
    collected.retired.find((document) => document.object === object)!;
  for (const { object, successor, locate } of collected.retired) {
    const why = `${object.kind} was retired; it is read as ${successor}`;
    const hint = "weft convert writes what it is read as";
    collected.problems.push({ path: "kind", why, hint, severity: "warning", at: locate(["kind"]) });
  }
  for (const { from, path, meant: _, ...rest } of problems) {
    const at = documentOf(from).locate(["spec", ...path]);
    collected.problems.push({ path: formatFieldPath(["spec", ...path]), ...rest, at });
    // A policy that is read in part would let in, or keep out, whom its author did not mean.
    if (rest.severity !== "warning") collected.hasUnnamed = true;
  }
  const isBroken = new Set(problems.filter(({ severity }) => severity !== "warning").map(({ from }) => from));
  for (const { object, from } of objects) {
    if (isBroken.has(from)) continue;
    const result = decodeObject(object, { now, locate: () => documentOf(from).locate([]) });
    if (result.ok) collected.resources.push(result.value);
    else collected.problems.push(...result.problems);
  }
}

interface Collected {
  readonly resources: Resource[];
  readonly problems: Problem[];
  readonly skipped: Skipped[];
  readonly refused: ResourceKey[];
  readonly retired: RetiredDocument[];
  hasUnnamed: boolean;
}

function emptyCollection(): Collected {
  return { resources: [], problems: [], skipped: [], refused: [], retired: [], hasUnnamed: false };
}

function decodePart(
  text: string,
  start: FilePosition,
  now: number,
  { maxDocumentBytes }: TextLimits,
): DecodedText {
  const bytes = Buffer.byteLength(text);
  if (bytes > maxDocumentBytes) {
    return refuseAll(start, `the document has ${bytes} bytes: the limit is ${maxDocumentBytes}`, "split it");
  }
  if (opensTooMuch(text))
    return refuseAll(start, `is nested deeper than ${maxDepth} levels`, "no resource needs this depth");
  const collected = emptyCollection();
  for (const document of parseYaml(text, start.file, start.line)) readDocument(document, now, collected);
  return collected;
}

function collect(into: Collected, part: DecodedText): void {
  for (const resource of part.resources) into.resources.push(resource);
  for (const problem of part.problems) into.problems.push(problem);
  for (const skipped of part.skipped) into.skipped.push(skipped);
  for (const key of part.refused) into.refused.push(key);
  for (const document of part.retired) into.retired.push(document);
  into.hasUnnamed ||= part.hasUnnamed;
}

function readDocument(document: YamlDocument, now: number, collected: Collected): void {
  if (document.problems.length > 0) {
    for (const { path, ...rest } of document.problems)
      collected.problems.push({ path: formatFieldPath(path), ...rest });
    refuse(document.value, collected);
    return;
  }
  if (document.value === undefined || document.value === null) return;
  const items = listItems(document.value);
  if (items === undefined) readObject(document.value, document, [], now, collected);
  items?.forEach((item, index) => {
    readObject(item, document, ["items", index], now, collected);
  });
}

function readObject(
  value: unknown,
  document: YamlDocument,
  base: FieldPath,
  now: number,
  collected: Collected,
): void {
  const locate = (path: FieldPath) =>
    path.length + base.length === 0 ? document.start : document.locate([...base, ...path]);
  if (isRecord(value)) {
    const recognized = recognize(value);
    if (recognized.as === "foreign") {
      collected.skipped.push({
        at: base.length === 0 ? document.start : document.locate(base),
        why: recognized.why,
      });
      return;
    }
    const object = recognized.as === "retired" ? readRetired(value) : undefined;
    if (recognized.as === "retired" && object !== undefined) {
      collected.retired.push({ object, successor: recognized.successor, locate });
      return;
    }
  }
  const result = decodeObject(value, { now, locate });
  if (result.ok) {
    collected.resources.push(result.value);
    for (const warning of result.warnings) collected.problems.push(warning);
  } else {
    for (const problem of result.problems) collected.problems.push(problem);
    refuse(value, collected);
  }
}

function refuse(value: unknown, collected: Collected): void {
  const key = keyOf(value);
  if (key) collected.refused.push(key);
  else collected.hasUnnamed = true;
}

/** The key that an object claims, if it can be read at all. */
function keyOf(value: unknown): ResourceKey | undefined {
  if (!isRecord(value) || !isRecord(value["metadata"])) return undefined;
  const recognized = recognize(value);
  const { name, namespace = defaultNamespace } = value["metadata"];
  if (recognized.as !== "kind" || typeof name !== "string" || typeof namespace !== "string") return undefined;
  if (!isDnsSubdomain(name) || !isDnsLabel(namespace)) return undefined;
  const kind: Kind = recognized.definition.kind;
  return { kind, namespace, name };
}

/** The items of what `kubectl get -o yaml` prints for several objects. */
function listItems(value: unknown): readonly unknown[] | undefined {
  if (!isRecord(value) || typeof value["kind"] !== "string" || !Array.isArray(value["items"]))
    return undefined;
  return value["kind"].endsWith("List") ? value["items"] : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refuseAll(at: FilePosition, why: string, hint: string): DecodedText {
  return {
    resources: [],
    problems: [{ path: "", why, hint, at }],
    skipped: [],
    refused: [],
    retired: [],
    hasUnnamed: true,
  };
}

/** Brackets open at once; only text in quotes could have so many for another reason. The parser would find out too, but only after seconds in which nobody else is served. */
const maxOpen = 2_000;

function opensTooMuch(text: string): boolean {
  let open = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    if (bracket === "]" || bracket === "}") open = Math.max(0, open - 1);
    else if (++open > maxOpen) return true;
  }
  return false;
}

function countDocumentMarks(text: string): number {
  let count = 1;
  for (let at = text.indexOf("\n---"); at !== -1; at = text.indexOf("\n---", at + 4)) count++;
  return count;
}
