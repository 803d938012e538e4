import { huffmanOctets, writeHuffman } from "./huffman.ts";
import { writeInteger } from "./integer.ts";
import { firstDynamicIndex, staticTable } from "./static-table.ts";

/** The most that we keep of a table, however much the peer would allow: what the peer has by default. */
const maxTableOctets = 4_096;
const maxEntries = maxTableOctets / 32;

/** Values of one name that were sent of late; the second time a value is sent it goes into the table. */
const recentValues = 4;
/** Names remembered per connection; a peer whose traffic has more is one that makes them up. */
const maxNames = 256;
/** Longer values would push out too much. */
const maxIndexedOctets = 512;

/** Octets that a field takes at most beyond its name and value. */
export const fieldOverhead = 12;
/** Octets that `begin` takes at most. */
export const blockOverhead = 12;

/**
 * Encodes the header blocks of one direction of a connection (RFC 7541). What is sent twice goes into the table, so that steady traffic
 * is all references, which cost neither side more than an octet; what differs each time (request ids, dates of a moment) never does.
 */
export class HpackEncoder {
  readonly #keepsCase: boolean;
  readonly #names = new Map<string, NameEntry>();
  /** The table as a ring that grows with its first round, for eviction: the oldest lies at `#inserted - #count` modulo `maxEntries`. */
  readonly #entries: (NameEntry | undefined)[] = [];
  readonly #values: string[] = [];
  #inserted = 0;
  #count = 0;
  #octets = 0;
  #maxOctets = maxTableOctets;
  /** Size updates that the next block begins with: the smallest since the last block, and the present one. */
  #smallestUpdate: number | undefined = undefined;

  /** `keepsCase`: names are written as they are given, which the peer must have agreed to; without, in lower case. */
  constructor(keepsCase = false) {
    this.#keepsCase = keepsCase;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  limitTable(octets: number): void {
    const limit = Math.min(octets, maxTableOctets);
    if (limit === this.#maxOctets) return;
    this.#smallestUpdate = Math.min(limit, this.#smallestUpdate ?? limit);
    this.#maxOctets = limit;
    this.#evict(0);
  }

  /** Begins a block; to be called before its fields. There must be room for `blockOverhead`. */
  begin(into: Buffer, position: number): number {
    const smallest = this.#smallestUpdate;
    if (smallest === undefined) return position;
    this.#smallestUpdate = undefined;
    let at = position;
    if (smallest < this.#maxOctets) at = writeInteger(into, at, smallest, 5, 0x20);
    return writeInteger(into, at, this.#maxOctets, 5, 0x20);
  }

  /**
   * Writes one field; the name in any case, the value one char per octet. Fields that HTTP/2 has no place for (RFC 9113 8.2.2) are left
   * out. There must be room for `fieldOverhead` and both texts. Returns the position behind it.
   */
  field(into: Buffer, position: number, name: string, value: string): number {
    const entry = this.#names.get(name) ?? this.#remember(name);
    const fixed = entry.fixedValues?.get(value);
    if (fixed !== undefined) {
      into[position] = 0x80 | fixed;
      return position + 1;
    }
    const id = entry.dynamicValues.get(value);
    if (id !== undefined) return writeInteger(into, position, this.#indexOf(id), 7, 0x80);
    return this.#literal(into, position, entry, value);
  }

  #literal(into: Buffer, position: number, entry: NameEntry, value: string): number {
    if (entry.use === "left out" || (entry.isTe && value !== "trailers")) return position;
    const isIndexed = entry.use === "indexed" && this.#isWorthIndexing(entry, value);
    const nameIndex = entry.fixedName !== 0 ? entry.fixedName : this.#dynamicName(entry);
    let at = position;
    if (isIndexed) at = writeInteger(into, at, nameIndex, 6, 0x40);
    else at = writeInteger(into, at, nameIndex, 4, entry.use === "never indexed" ? 0x10 : 0);
    if (nameIndex === 0) at = writeText(into, at, entry.name, isIndexed);
    at = writeText(into, at, value, isIndexed);
    if (isIndexed) this.#insert(entry, value);
    return at;
  }

  #isWorthIndexing(entry: NameEntry, value: string): boolean {
    const octets = entry.name.length + value.length + 32;
    if (octets > maxIndexedOctets || octets > this.#maxOctets) return false;
    const { recent } = entry;
    if (recent.includes(value)) return true;
    recent[entry.nextRecent] = value;
    entry.nextRecent = (entry.nextRecent + 1) % recentValues;
    return false;
  }

  /** Index of any entry with the name; 0 when there is none. */
  #dynamicName(entry: NameEntry): number {
    return entry.dynamicValues.size > 0 ? this.#indexOf(entry.newestId) : 0;
  }

  #indexOf(id: number): number {
    return firstDynamicIndex + (this.#inserted - 1 - id);
  }

  #remember(rawName: string): NameEntry {
    const name = this.#keepsCase ? rawName : rawName.toLowerCase();
    let entry = this.#names.get(name);
    if (entry === undefined) {
      if (this.#names.size >= maxNames) this.#names.clear();
      entry = newEntry(name);
      this.#names.set(name, entry);
    }
    if (rawName !== name) this.#names.set(rawName, entry);
    return entry;
  }

  #insert(entry: NameEntry, value: string): void {
    const octets = entry.name.length + value.length + 32;
    this.#evict(octets);
    const id = this.#inserted++;
    const slot = id % maxEntries;
    this.#entries[slot] = entry;
    this.#values[slot] = value;
    this.#count++;
    this.#octets += octets;
    entry.dynamicValues.set(value, id);
    entry.newestId = id;
  }

  #evict(octets: number): void {
    while (this.#count > 0 && this.#octets + octets > this.#maxOctets) {
      const slot = (this.#inserted - this.#count) % maxEntries;
      const entry = this.#entries[slot]!;
      const value = this.#values[slot]!;
      this.#octets -= entry.name.length + value.length + 32;
      entry.dynamicValues.delete(value);
      this.#entries[slot] = undefined;
      this.#values[slot] = "";
      this.#count--;
    }
  }
}

interface NameEntry {
  readonly name: string;
  readonly use: "indexed" | "never indexed" | "left out";
  readonly isTe: boolean;
  /** Static index of the name; 0 without one. */
  readonly fixedName: number;
  /** Static index by value, for names that have values there. */
  readonly fixedValues: ReadonlyMap<string, number> | undefined;
  /** Which insertion into the dynamic table has this value. */
  readonly dynamicValues: Map<string, number>;
  newestId: number;
  readonly recent: string[];
  nextRecent: number;
}

/** Secrets: whoever can make requests on a shared connection must not find out by sizes what others sent (RFC 7541 7.1.3). */
const secret: ReadonlySet<string> = new Set(["authorization", "proxy-authorization", "cookie", "set-cookie"]);

const leftOut: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "host",
  "http2-settings",
]);

const fixedNames = new Map<string, { readonly index: number; readonly values: Map<string, number> }>();
for (const [index, [name, value]] of staticTable.entries()) {
  if (index === 0) continue;
  const known = fixedNames.get(name);
  if (known === undefined) fixedNames.set(name, { index, values: new Map([[value, index]]) });
  else known.values.set(value, index);
}

function newEntry(name: string): NameEntry {
  const fixed = fixedNames.get(name);
  const lower = name.toLowerCase();
  const isLeftOut = leftOut.has(lower) || name === "";
  return {
    name,
    use: isLeftOut ? "left out" : secret.has(lower) ? "never indexed" : "indexed",
    isTe: lower === "te",
    fixedName: fixed?.index ?? 0,
    fixedValues: isLeftOut ? undefined : fixed?.values,
    dynamicValues: new Map(),
    newestId: 0,
    recent: [],
    nextRecent: 0,
  };
}

/** Short texts are faster copied here than by a call into native code. */
const shortText = 24;

/** Coded by Huffman only what is sent once and then referred to: coding costs more than the octets that it saves. */
function writeText(into: Buffer, position: number, text: string, mayCode: boolean): number {
  const length = text.length;
  if (mayCode) {
    const coded = huffmanOctets(text);
    if (coded < length) return writeHuffman(into, writeInteger(into, position, coded, 7, 0x80), text);
  }
  let at = writeInteger(into, position, length, 7, 0);
  if (length > shortText) {
    into.write(text, at, length, "latin1");
    return at + length;
  }
  for (let i = 0; i < length; i++) into[at++] = text.charCodeAt(i);
  return at;
}
