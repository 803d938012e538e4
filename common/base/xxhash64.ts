/** An unsigned 64-bit number as two unsigned halves; BigInt would cost an allocation per step. */
export interface Hash64 {
  readonly hi: number;
  readonly lo: number;
}

const zero: Hash64 = { hi: 0, lo: 0 };

/**
 * xxHash64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) of a byte string: one character per byte, as header values are here.
 * Of a character beyond 0xff only the low byte counts.
 */
export function xxHash64(bytes: string, seed: Hash64 = zero): Hash64 {
  const length = bytes.length;
  let at = 0;
  if (length >= 32) at = hashStripes(bytes, seed);
  else {
    set(seed.hi, seed.lo);
    add(p5h, p5l);
  }
  add(0, length);
  for (; at + 8 <= length; at += 8) {
    const h = high;
    const l = low;
    round(0, 0, word(bytes, at + 4), word(bytes, at));
    set(high ^ h, low ^ l);
    rotate(27);
    multiply(p1h, p1l);
    add(p4h, p4l);
  }
  if (at + 4 <= length) {
    const h = high;
    const l = low;
    set(0, word(bytes, at));
    multiply(p1h, p1l);
    set(high ^ h, low ^ l);
    rotate(23);
    multiply(p2h, p2l);
    add(p3h, p3l);
    at += 4;
  }
  for (; at < length; at++) {
    const h = high;
    const l = low;
    set(0, bytes.charCodeAt(at) & 0xff);
    multiply(p5h, p5l);
    set(high ^ h, low ^ l);
    rotate(11);
    multiply(p1h, p1l);
  }
  set(high, low ^ (high >>> 1));
  multiply(p2h, p2l);
  set(high ^ (high >>> 29), low ^ ((low >>> 29) | (high << 3)));
  multiply(p3h, p3l);
  return { hi: high, lo: (low ^ high) >>> 0 };
}

/** The remainder by a whole number up to 2^26. */
export function hashModulo({ hi, lo }: Hash64, by: number): number {
  return ((hi % by) * (2 ** 32 % by) + (lo % by)) % by;
}

/** 16 hexadecimal digits. */
export function hashText({ hi, lo }: Hash64): string {
  return hi.toString(16).padStart(8, "0") + lo.toString(16).padStart(8, "0");
}

// The five primes of the specification.
const [p1h, p1l] = [0x9e3779b1, 0x85ebca87];
const [p2h, p2l] = [0xc2b2ae3d, 0x27d4eb4f];
const [p3h, p3l] = [0x165667b1, 0x9e3779f9];
const [p4h, p4l] = [0x85ebca77, 0xc2b2ae63];
const [p5h, p5l] = [0x27d4eb2f, 0x165667c5];

/** The number in hand. Module-wide, because a pair can't be returned without an allocation; nothing here is interrupted. */
let high = 0;
let low = 0;
/** The four lanes of a long input, high and low halves in turn. */
const lanes = new Uint32Array(8);
const laneTurns = [1, 7, 12, 18];

function hashStripes(bytes: string, seed: Hash64): number {
  startLane(0, seed, p1h, p1l);
  add(p2h, p2l);
  keepLane(0);
  startLane(1, seed, p2h, p2l);
  startLane(2, seed, 0, 0);
  // Minus the first prime, as its two's complement.
  startLane(3, seed, ~p1h, (~p1l + 1) >>> 0);
  let at = 0;
  for (; at + 32 <= bytes.length; at += 32) {
    for (let lane = 0; lane < 4; lane++) {
      const from = at + lane * 8;
      round(lanes[lane * 2]!, lanes[lane * 2 + 1]!, word(bytes, from + 4), word(bytes, from));
      keepLane(lane);
    }
  }
  let sumHigh = 0;
  let sumLow = 0;
  for (let lane = 0; lane < 4; lane++) {
    set(lanes[lane * 2]!, lanes[lane * 2 + 1]!);
    rotate(laneTurns[lane]!);
    add(sumHigh, sumLow);
    sumHigh = high;
    sumLow = low;
  }
  for (let lane = 0; lane < 4; lane++) {
    round(0, 0, lanes[lane * 2]!, lanes[lane * 2 + 1]!);
    set(high ^ sumHigh, low ^ sumLow);
    multiply(p1h, p1l);
    add(p4h, p4l);
    sumHigh = high;
    sumLow = low;
  }
  return at;
}

function startLane(lane: number, seed: Hash64, plusHigh: number, plusLow: number): void {
  set(seed.hi, seed.lo);
  add(plusHigh, plusLow);
  keepLane(lane);
}

function keepLane(lane: number): void {
  lanes[lane * 2] = high;
  lanes[lane * 2 + 1] = low;
}

/** The specification's round: accumulator and lane of input, as halves. */
function round(accHigh: number, accLow: number, inHigh: number, inLow: number): void {
  set(inHigh, inLow);
  multiply(p2h, p2l);
  add(accHigh, accLow);
  rotate(31);
  multiply(p1h, p1l);
}

function word(bytes: string, at: number): number {
  return (
    ((bytes.charCodeAt(at) & 0xff) |
      ((bytes.charCodeAt(at + 1) & 0xff) << 8) |
      ((bytes.charCodeAt(at + 2) & 0xff) << 16) |
      ((bytes.charCodeAt(at + 3) & 0xff) << 24)) >>>
    0
  );
}

function set(toHigh: number, toLow: number): void {
  high = toHigh >>> 0;
  low = toLow >>> 0;
}

function add(plusHigh: number, plusLow: number): void {
  const sum = low + (plusLow >>> 0);
  low = sum >>> 0;
  high = (high + (plusHigh >>> 0) + (sum > 0xffffffff ? 1 : 0)) >>> 0;
}

/** To the left, by 1 to 31 bits. */
function rotate(by: number): void {
  const h = high;
  high = ((h << by) | (low >>> (32 - by))) >>> 0;
  low = ((low << by) | (h >>> (32 - by))) >>> 0;
}

/** The low 64 bits of the product, from 16-bit parts: a product of two fits in a double exactly. */
function multiply(byHigh: number, byLow: number): void {
  const a0 = low & 0xffff;
  const a1 = low >>> 16;
  const b0 = byLow & 0xffff;
  const b1 = byLow >>> 16;
  const low0 = a0 * b0;
  const cross0 = a0 * b1;
  const cross1 = a1 * b0;
  const middle = (low0 >>> 16) + (cross0 & 0xffff) + (cross1 & 0xffff);
  const carried = a1 * b1 + (cross0 >>> 16) + (cross1 >>> 16) + (middle >>> 16);
  high = (carried + Math.imul(high, byLow) + Math.imul(low, byHigh)) >>> 0;
  low = ((middle << 16) | (low0 & 0xffff)) >>> 0;
}
