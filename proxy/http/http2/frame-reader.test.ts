import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameType, Http2Error } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";

interface Seen {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  payload: string;
  flowOctets: number;
}

function read(bytes: Buffer, cuts: readonly number[]): readonly Seen[] {
  const seen: Seen[] = [];
  let data: Seen | undefined;
  const reader = new FrameReader({
    isClosed: false,
    frameRead: (type, flags, id, from, start, end) =>
      void seen.push({ type, flags, id, payload: from.toString("latin1", start, end), flowOctets: 0 }),
    dataBegun: (id, _length, flags) => {
      data = { type: FrameType.data, flags, id, payload: "", flowOctets: 0 };
    },
    dataRead: (from, start, end, flowOctets, isLast) => {
      data!.payload += from.toString("latin1", start, end);
      data!.flowOctets += flowOctets;
      if (isLast) seen.push(data!);
    },
  });
  let at = 0;
  for (const cut of [...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    if (cut > at) reader.feed(Buffer.from(bytes.subarray(at, cut)));
    at = Math.max(at, cut);
  }
  expect(reader.isMidFrame).toBe(false);
  return seen;
}

const frame = fc.record({
  type: fc.constantFrom(0, 0, 1, 4, 6, 8, 77),
  padding: fc.option(fc.nat({ max: 20 })),
  id: fc.nat({ max: 1_000 }),
  payload: fc.uint8Array({ maxLength: 300 }),
});

function written({
  type,
  padding,
  id,
  payload,
}: {
  type: number;
  padding: number | null;
  id: number;
  payload: Uint8Array;
}): Buffer {
  const isPadded = type === 0 && padding !== null;
  const body = isPadded
    ? Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding)])
    : Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = isPadded ? 8 : 0;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, body]);
}

describe("a frame reader", () => {
  it("finds the same frames however the bytes are cut", () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 8 }),
        fc.array(fc.nat({ max: 4_000 }), { maxLength: 12 }),
        (frames, cuts) => {
          const bytes = Buffer.concat(frames.map(written));
          const seen = read(bytes, cuts);
          expect(seen.map(({ id, payload }) => [id, payload])).toEqual(
            frames.map(({ id, payload }) => [id, Buffer.from(payload).toString("latin1")]),
          );
          for (const [i, { type, payload, padding }] of frames.entries())
            if (type === 0)
              expect(seen[i]!.flowOctets).toBe(payload.length + (padding === null ? 0 : padding + 1));
        },
      ),
    );
  });

  it.each([
    ["a frame larger than we allow", "004001" + "04" + "00" + "00000000"],
    ["padding longer than its frame", "000002" + "00" + "08" + "00000001" + "0500"],
    ["a padded frame without room for the pad length", "000000" + "00" + "08" + "00000001"],
  ])("refuses %s", (_what, hex) => {
    expect(() => read(Buffer.from(hex, "hex"), [])).toThrow(Http2Error);
  });
});
