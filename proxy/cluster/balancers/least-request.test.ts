import { expect, it } from "vitest";
import { balancerContract, countPicks, fake } from "./contract.ts";

balancerContract("least-request");

it("picks the less busy of two every time", () => {
  expect(
    countPicks("least-request", [fake("busy", { active: 9 }), fake("calm", { active: 8 })], 500),
  ).toEqual({
    calm: 500,
  });
});

it("counts requests under way for the weight, not as such", () => {
  const endpoints = [fake("small", { active: 3 }), fake("large", { active: 9, weight: 10 })];
  expect(countPicks("least-request", endpoints, 500)).toEqual({ large: 500 });
});

it("never picks the busiest of three", () => {
  const endpoints = [fake("a", { active: 1 }), fake("b", { active: 5 }), fake("c", { active: 1 })];
  expect(countPicks("least-request", endpoints, 1_000).b).toBeUndefined();
});
