import { expect, it } from "vitest";
import { balanced, balancerContract, countPicks, fake } from "./contract.ts";

balancerContract("round-robin");

it("gives each endpoint exactly its turn", () => {
  expect(countPicks("round-robin", [fake("a"), fake("b"), fake("c")], 300)).toEqual({
    a: 100,
    b: 100,
    c: 100,
  });
});

it("mixes unequal weights smoothly", () => {
  const endpoints = [fake("a", { weight: 5 }), fake("b"), fake("c")];
  const pick = balanced("round-robin", endpoints, () => 0);
  const turns = Array.from({ length: 7 }, () => pick()!.name).join("");
  expect(turns).toBe("aabacaa");
});

it("starts somewhere else with another seed", () => {
  const endpoints = Array.from({ length: 8 }, (_, i) => fake(`e${i}`));
  const starts = new Set(
    Array.from({ length: 20 }, (_, seed) => balanced("round-robin", endpoints, seed)()!.name),
  );
  expect(starts.size).toBeGreaterThan(3);
});
