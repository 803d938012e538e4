import fc from "fast-check";
import { expect, it } from "vitest";
import { PieceQueue } from "./piece-queue.ts";

it("gives out what was put in, in order, in whatever pieces", () => {
  const step = fc.oneof(
    fc.record({ add: fc.constantFrom(1, 100, 5_000, 20_000) }),
    fc.record({ take: fc.constantFrom(1, 50, 16_384) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new PieceQueue();
      let [written, read] = [0, 0];
      for (const current of steps) {
        if ("add" in current) {
          const bytes = Buffer.from(
            Uint8Array.from({ length: current.add + 4 }, (_, i) => (written + i - 2) & 0xff),
          );
          queue.add(bytes, 2, 2 + current.add);
          bytes.fill(0, 0, 2);
          written += current.add;
        } else if (!queue.isEmpty) {
          const piece = queue.take(current.take);
          expect(piece.length).toBeLessThanOrEqual(current.take);
          for (const octet of piece) expect(octet).toBe(read++ & 0xff);
        }
      }
      expect(queue.isEmpty).toBe(read === written);
    }),
    { numRuns: 60 },
  );
});
