import { ErrorCode, Http2Error } from "../frame.ts";
import { huffmanLengths } from "./huffman-lengths.ts";

/** HPACK's Huffman code (RFC 7541 5.2), four bits at a step. */

const endOfString = 256;
const codes: Uint32Array = canonicalCodes();

/** Octets that `text` (latin1) takes when it is coded. */
export function huffmanOctets(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += huffmanLengths[text.charCodeAt(i)]!;
  return (bits + 7) >> 3;
}

/** Writes `text` coded at `position`; returns the position behind it. There must be room for `huffmanOctets(text)`. */
export function writeHuffman(into: Uint8Array, position: number, text: string): number {
  let at = position;
  // At most 7 bits wait when a code of at most 30 comes: more than 32 together, so the two are not put in one integer.
  let waiting = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const octet = text.charCodeAt(i);
    const code = codes[octet]!;
    let left = huffmanLengths[octet]!;
    while (left > 0) {
      const taken = Math.min(8 - bits, left);
      left -= taken;
      waiting = (waiting << taken) | ((code >>> left) & ((1 << taken) - 1));
      bits += taken;
      if (bits === 8) {
        into[at++] = waiting;
        waiting = 0;
        bits = 0;
      }
    }
  }
  // Padded with the most significant bits of the end-of-string mark, which are ones.
  if (bits > 0) into[at++] = (waiting << (8 - bits)) | ((1 << (8 - bits)) - 1);
  return at;
}

/** Decodes `bytes[start..end)` to text, one char per octet. Throws Http2Error COMPRESSION_ERROR for wrong padding or an end-of-string mark. */
export function readHuffman(bytes: Uint8Array, start: number, end: number): string {
  steps ??= buildSteps();
  const table = steps;
  // The shortest code has 5 bits.
  const most = Math.floor(((end - start) * 8) / 5);
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(most);
  const out = scratch;
  let length = 0;
  let state = 0;
  for (let at = start; at < end; at++) {
    const octet = bytes[at]!;
    let step = table[(state << 4) | (octet >> 4)]!;
    if ((step & emits) !== 0) out[length++] = step & 0xff;
    state = (step >> 8) & 0x1ff;
    if ((step & fails) !== 0) throw new Http2Error(ErrorCode.compressionError, "hpack.invalid_huffman");
    step = table[(state << 4) | (octet & 15)]!;
    if ((step & emits) !== 0) out[length++] = step & 0xff;
    state = (step >> 8) & 0x1ff;
    if ((step & fails) !== 0) throw new Http2Error(ErrorCode.compressionError, "hpack.invalid_huffman");
  }
  if (mayEnd![state] === 0) throw new Http2Error(ErrorCode.compressionError, "hpack.invalid_huffman_padding");
  return out.toString("latin1", 0, length);
}

/** Bits of a step: 0–7 the octet that it yields, 8–16 the state that follows, then two flags. */
const emits = 1 << 17;
const fails = 1 << 18;

let scratch: Buffer = Buffer.allocUnsafeSlow(1024);
let steps: Uint32Array | undefined;
/** States in which a string may end: nothing or up to 7 ones read since the last octet. */
let mayEnd: Uint8Array | undefined;

function canonicalCodes(): Uint32Array {
  const result = new Uint32Array(endOfString + 1);
  let code = 0;
  for (let bits = 1; bits <= 30; bits++) {
    code <<= 1;
    for (let symbol = 0; symbol <= endOfString; symbol++) {
      if (huffmanLengths[symbol] === bits) result[symbol] = code++;
    }
  }
  return result;
}

/** The code as a tree whose inner nodes are numbered; a step walks four edges. */
function buildSteps(): Uint32Array {
  const children: number[][] = [[-1, -1]];
  for (let symbol = 0; symbol <= endOfString; symbol++) {
    let node = 0;
    for (let bit = huffmanLengths[symbol]! - 1; bit >= 0; bit--) {
      const branch = (codes[symbol]! >>> bit) & 1;
      const next = children[node]![branch]!;
      if (bit === 0) children[node]![branch] = leaf(symbol);
      else if (next === -1) {
        children.push([-1, -1]);
        children[node]![branch] = children.length - 1;
        node = children.length - 1;
      } else node = next;
    }
  }
  mayEnd = new Uint8Array(children.length);
  for (let node = 0, ones = 0; ones < 8; ones++, node = children[node]![1]!) mayEnd[node] = 1;
  const table = new Uint32Array(children.length * 16);
  for (let node = 0; node < children.length; node++) {
    for (let nibble = 0; nibble < 16; nibble++) table[(node << 4) | nibble] = walk(children, node, nibble);
  }
  return table;
}

function walk(children: readonly number[][], from: number, nibble: number): number {
  let node = from;
  let yielded = 0;
  for (let bit = 3; bit >= 0; bit--) {
    node = children[node]![(nibble >> bit) & 1]!;
    if (node >= 0) continue;
    const symbol = symbolOf(node);
    if (symbol === endOfString) return fails;
    yielded = emits | symbol;
    node = 0;
  }
  return yielded | (node << 8);
}

/** Leaves are negative numbers below -1. */
function leaf(symbol: number): number {
  return -2 - symbol;
}

function symbolOf(node: number): number {
  return -2 - node;
}
