/** The few pieces of DER (ITU-T X.690) that a signing request is made of. */
export const der = {
  sequence: (...parts: readonly Uint8Array[]) => tagged(0x30, parts),
  set: (...parts: readonly Uint8Array[]) => tagged(0x31, parts),
  octets: (...parts: readonly Uint8Array[]) => tagged(0x04, parts),
  boolean: (value: boolean) => tagged(0x01, [Uint8Array.of(value ? 0xff : 0)]),
  /** 0 to 127. */
  smallInteger: (value: number) => tagged(0x02, [Uint8Array.of(value)]),
  /** Whole octets. */
  bits: (bytes: Uint8Array) => tagged(0x03, [Uint8Array.of(0), bytes]),
  objectId: (dotted: string) => tagged(0x06, [encodeObjectId(dotted)]),
  /** `[number]`, IMPLICIT; constructed when it holds further elements. */
  context: (number: number, isConstructed: boolean, ...parts: readonly Uint8Array[]) =>
    tagged(0x80 | (isConstructed ? 0x20 : 0) | number, parts),
};

function tagged(tag: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, { length: own }) => sum + own, 0);
  return Buffer.concat([Uint8Array.of(tag), encodeLength(length), ...parts]);
}

function encodeLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return Uint8Array.of(0x80 | octets.length, ...octets);
}

function encodeObjectId(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...others] = dotted.split(".").map(Number);
  return Uint8Array.from([first * 40 + second, ...others].flatMap(base128));
}

function base128(value: number): number[] {
  const octets = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128))
    octets.unshift(0x80 | (rest % 128));
  return octets;
}
