import { fieldKind, keptFieldKind } from "../field-kind.ts";
import { ErrorCode, Http2Error } from "../frame.ts";
import { readHuffman } from "./huffman.ts";
import { integerEnd, readInteger } from "./integer.ts";
import { firstDynamicIndex, staticTable } from "./static-table.ts";

/** One decoded header block. Shared between equal blocks of a connection: to be read only. */
export interface FieldBlock {
  /** `[name, value, name, value, …]`; empty when it was too large. */
  readonly fields: readonly string[];
  /** A FieldKind for each pair. */
  readonly kinds: readonly number[];
  /** The list was longer than allowed; it was decoded only to keep the table right. */
  readonly isTooLarge: boolean;
  /** What the reader of requests made of it, so that an equal block is not judged again. */
  request: unknown;
}

export interface FieldLimits {
  /** Octets of all names and values, with 32 for each field (RFC 9113 6.5.2). */
  readonly maxOctets: number;
  /** Fields; cookies, which may come in crumbs, count by their octets only. */
  readonly maxFields: number;
}

/** What we allow the peer's encoder; also the size that is in force before SETTINGS. */
export const decoderTableOctets = 4_096;

/** No entry is smaller than its 32 octets of overhead. */
const maxEntries = decoderTableOctets / 32;

/** Longer blocks are not remembered. */
const maxCachedOctets = 192;
const maxCachedBlocks = 256;
/** How many blocks that are not seen again may be remembered, before only those are that consist of references. */
const cachePatience = 64;

const staticNames: readonly string[] = staticTable.map(([name]) => name);
const staticValues: readonly string[] = staticTable.map(([, value]) => value);
const staticKinds: readonly number[] = staticTable.map(([name, value]) => fieldKind(name, value));

/**
 * Decodes the header blocks of one direction of a connection (RFC 7541). A block that changes no table is remembered by its bytes
 * until one does: peers that send the same fields again and again cost one look-up.
 */
export class HpackDecoder {
  readonly #limits: FieldLimits;
  readonly #kindOf: (name: string, value: string) => number;
  /** The dynamic table as a ring that grows with its first round: the entry inserted last lies at `#inserted - 1` modulo `maxEntries`. */
  readonly #names: string[] = [];
  readonly #values: string[] = [];
  readonly #kinds: number[] = [];
  #inserted = 0;
  #count = 0;
  #octets = 0;
  #maxOctets = decoderTableOctets;

  readonly #cache = new Map<string, FieldBlock>();
  #patience = cachePatience;

  // The block under way.
  #fields: string[] = [];
  #fieldKinds: number[] = [];
  #listOctets = 0;
  #listFields = 0;
  #changesTable = false;
  #hasLiterals = false;

  /** `keepsCase`: names come in any case, and stay so. */
  constructor(limits: FieldLimits, keepsCase = false) {
    this.#limits = limits;
    this.#kindOf = keepsCase ? keptFieldKind : fieldKind;
  }

  /** Throws Http2Error COMPRESSION_ERROR; the connection can't go on after that. */
  decode(bytes: Buffer, start: number, end: number): FieldBlock {
    const isShort = end - start <= maxCachedOctets;
    let key = "";
    if (isShort && this.#cache.size > 0) {
      key = bytes.toString("latin1", start, end);
      const known = this.#cache.get(key);
      if (known !== undefined) {
        if (this.#patience < cachePatience) this.#patience++;
        return known;
      }
    }
    this.#fields = [];
    this.#fieldKinds = [];
    this.#listOctets = 0;
    this.#listFields = 0;
    this.#changesTable = false;
    this.#hasLiterals = false;
    this.#read(bytes, start, end);
    const isTooLarge = this.#isOverLimit();
    const block: FieldBlock = {
      fields: isTooLarge ? [] : this.#fields,
      kinds: isTooLarge ? [] : this.#fieldKinds,
      isTooLarge,
      request: undefined,
    };
    if (this.#changesTable) this.#cache.clear();
    else if (isShort && !isTooLarge && (!this.#hasLiterals || this.#patience > 0)) {
      if (this.#hasLiterals) this.#patience--;
      if (this.#cache.size >= maxCachedBlocks) this.#cache.clear();
      this.#cache.set(key === "" ? bytes.toString("latin1", start, end) : key, block);
    }
    return block;
  }

  #read(bytes: Buffer, start: number, end: number): void {
    let at = start;
    let mayResize = true;
    while (at < end) {
      const octet = bytes[at]!;
      if (octet >= 0x80) {
        let index = octet & 0x7f;
        if (index === 0x7f) {
          index = readInteger(bytes, at, end, 7);
          at = integerEnd;
        } else at++;
        this.#addIndexed(index);
      } else if (octet >= 0x40) {
        at = this.#readLiteral(bytes, at, end, 6);
        this.#changesTable = true;
        this.#insert(literalName, literalValue, literalKind);
      } else if (octet >= 0x20) {
        // RFC 7541 4.2: only at the beginning of a block.
        if (!mayResize) throw invalid("hpack.late_table_size_update");
        const size = readInteger(bytes, at, end, 5);
        if (size > decoderTableOctets) throw invalid("hpack.table_size_too_large");
        at = integerEnd;
        this.#changesTable = true;
        this.#maxOctets = size;
        this.#evict(0);
        continue;
      } else {
        this.#hasLiterals = true;
        at = this.#readLiteral(bytes, at, end, 4);
      }
      mayResize = false;
    }
  }

  #addIndexed(index: number): void {
    if (index < firstDynamicIndex) {
      if (index === 0) throw invalid("hpack.index_zero");
      this.#add(staticNames[index]!, staticValues[index]!, staticKinds[index]!);
      return;
    }
    const slot = this.#slotOf(index);
    this.#add(this.#names[slot]!, this.#values[slot]!, this.#kinds[slot]!);
  }

  /** Reads a literal into the `literal…` variables and adds it; returns the position behind it. */
  #readLiteral(bytes: Buffer, start: number, end: number, prefix: number): number {
    const index = readInteger(bytes, start, end, prefix);
    let at = integerEnd;
    let name: string;
    if (index === 0) {
      name = readText(bytes, at, end);
      at = textEnd;
    } else if (index < firstDynamicIndex) name = staticNames[index]!;
    else name = this.#names[this.#slotOf(index)]!;
    const value = readText(bytes, at, end);
    at = textEnd;
    literalName = name;
    literalValue = value;
    literalKind = this.#kindOf(name, value);
    this.#add(name, value, literalKind);
    return at;
  }

  #add(name: string, value: string, kind: number): void {
    this.#listOctets += name.length + value.length + 32;
    if (name !== "cookie") this.#listFields++;
    // What is beyond the limit is not kept, however often the peer refers to it.
    if (this.#isOverLimit()) return;
    this.#fields.push(name, value);
    this.#fieldKinds.push(kind);
  }

  #isOverLimit(): boolean {
    return this.#listOctets > this.#limits.maxOctets || this.#listFields > this.#limits.maxFields;
  }

  #slotOf(index: number): number {
    const back = index - firstDynamicIndex;
    if (back >= this.#count) throw invalid("hpack.index_beyond_table");
    return (this.#inserted - 1 - back) % maxEntries;
  }

  #insert(name: string, value: string, kind: number): void {
    const octets = name.length + value.length + 32;
    this.#evict(octets);
    // RFC 7541 4.4: what is larger than the table empties it.
    if (octets > this.#maxOctets) return;
    const slot = this.#inserted % maxEntries;
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.#kinds[slot] = kind;
    this.#inserted++;
    this.#count++;
    this.#octets += octets;
  }

  /** Makes room for `octets` more. */
  #evict(octets: number): void {
    while (this.#count > 0 && this.#octets + octets > this.#maxOctets) {
      const slot = (this.#inserted - this.#count) % maxEntries;
      this.#octets -= this.#names[slot]!.length + this.#values[slot]!.length + 32;
      this.#names[slot] = "";
      this.#values[slot] = "";
      this.#count--;
    }
  }
}

let literalName = "";
let literalValue = "";
let literalKind = 0;
/** Position behind the text that `readText` read last. */
let textEnd = 0;

function readText(bytes: Buffer, start: number, end: number): string {
  if (start >= end) throw invalid("hpack.truncated_block");
  const isCoded = bytes[start]! >= 0x80;
  const length = readInteger(bytes, start, end, 7);
  const from = integerEnd;
  const to = from + length;
  if (to > end) throw invalid("hpack.truncated_block");
  textEnd = to;
  return isCoded ? readHuffman(bytes, from, to) : bytes.toString("latin1", from, to);
}

function invalid(detail: string): Http2Error {
  return new Http2Error(ErrorCode.compressionError, detail);
}
