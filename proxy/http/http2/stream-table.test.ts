import fc from "fast-check";
import { expect, it } from "vitest";
import { StreamTable } from "./stream-table.ts";

it("holds what a Map would, whatever streams live how long", () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.constant("open" as const) },
    { weight: 2, arbitrary: fc.nat({ max: 1_000 }) },
  );
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 100, maxLength: 1_500 }),
      fc.constantFrom(1, 0),
      (steps, first) => {
        const table = new StreamTable<{ readonly id: number }>();
        const model = new Map<number, { readonly id: number }>();
        let next = first;
        for (const current of steps) {
          if (current === "open") {
            const stream = { id: next };
            next += 2;
            table.add(stream);
            model.set(stream.id, stream);
          } else {
            // The first streams live long, the others die young.
            const id = [...model.keys()].slice(3)[current % Math.max(1, model.size - 3)] ?? -1;
            table.delete(id);
            model.delete(id);
          }
          expect(table.size).toBe(model.size);
        }
        for (let id = first; id < next; id += 2) expect(table.get(id)).toBe(model.get(id));
        expect(
          table
            .all()
            .map(({ id }) => id)
            .sort((a, b) => a - b),
        ).toEqual([...model.keys()].sort((a, b) => a - b));
      },
    ),
    { numRuns: 30 },
  );
});
