import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hashModulo, hashText, xxHash64 } from "./xxhash64.ts";

describe("xxHash64", () => {
  it.each([
    ["", "ef46db3751d8e999"],
    ["a", "d24ec4f1a98c6e5b"],
    ["abc", "44bc2cf5ad770999"],
    ["Nobody inspects the spammish repetition", "fbcea83c8a378bf1"],
  ])("knows the published value of %j", (text, expected) => {
    expect(hashText(xxHash64(text))).toBe(expected);
  });

  it("agrees with the specification written in BigInt, for any bytes and seed", () => {
    const half = fc.integer({ min: 0, max: 0xffffffff });
    const bytes = fc.uint8Array({ maxLength: 120 });
    const property = fc.property(bytes, half, half, (input, hi, lo) => {
      const text = String.fromCharCode(...input);
      const expected = reference(input, (BigInt(hi) << 32n) | BigInt(lo));
      expect(hashText(xxHash64(text, { hi, lo }))).toBe(expected.toString(16).padStart(16, "0"));
    });
    fc.assert(property, { numRuns: 500 });
  });

  it("divides with the remainder of the whole number", () => {
    const half = fc.integer({ min: 0, max: 0xffffffff });
    const property = fc.property(half, half, fc.integer({ min: 1, max: 5_000_011 }), (hi, lo, by) => {
      const whole = (BigInt(hi) << 32n) | BigInt(lo);
      expect(hashModulo({ hi, lo }, by)).toBe(Number(whole % BigInt(by)));
    });
    fc.assert(property);
  });
});

const mask = (1n << 64n) - 1n;
const p1 = 0x9e3779b185ebca87n;
const p2 = 0xc2b2ae3d27d4eb4fn;
const p3 = 0x165667b19e3779f9n;
const p4 = 0x85ebca77c2b2ae63n;
const p5 = 0x27d4eb2f165667c5n;

function rotl(value: bigint, by: bigint): bigint {
  return ((value << by) | (value >> (64n - by))) & mask;
}

function round(acc: bigint, input: bigint): bigint {
  return (rotl((acc + input * p2) & mask, 31n) * p1) & mask;
}

function read(input: Uint8Array, at: number, count: number): bigint {
  let value = 0n;
  for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(input[at + i]!);
  return value;
}

function reference(input: Uint8Array, seed: bigint): bigint {
  let at = 0;
  let hash = (seed + p5) & mask;
  if (input.length >= 32) {
    const lanes = [seed + p1 + p2, seed + p2, seed, seed - p1].map((lane) => lane & mask);
    for (; at + 32 <= input.length; at += 32)
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i]!, read(input, at + i * 8, 8));
    const turns = [1n, 7n, 12n, 18n];
    hash = lanes.reduce((sum, lane, i) => (sum + rotl(lane, turns[i]!)) & mask, 0n);
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * p1 + p4) & mask;
  }
  hash = (hash + BigInt(input.length)) & mask;
  for (; at + 8 <= input.length; at += 8)
    hash = (rotl(hash ^ round(0n, read(input, at, 8)), 27n) * p1 + p4) & mask;
  if (at + 4 <= input.length) {
    hash = (rotl(hash ^ ((read(input, at, 4) * p1) & mask), 23n) * p2 + p3) & mask;
    at += 4;
  }
  for (; at < input.length; at++) hash = (rotl(hash ^ ((BigInt(input[at]!) * p5) & mask), 11n) * p1) & mask;
  hash = ((hash ^ (hash >> 33n)) * p2) & mask;
  hash = ((hash ^ (hash >> 29n)) * p3) & mask;
  return hash ^ (hash >> 32n);
}
