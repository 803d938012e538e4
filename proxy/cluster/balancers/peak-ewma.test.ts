import { expect, it } from "vitest";
import { seededRandom } from "../../../common/base/random.ts";
import { FakeClock } from "../../../test/support/fake-clock.ts";
import { balancerContract, fake } from "./contract.ts";
import { balance } from "./index.ts";
import { LatencyAverage } from "./latency-average.ts";

balancerContract("peak-ewma");

function answering(name: string, ms: number, active = 0) {
  const latency = new LatencyAverage();
  latency.observe(ms, 0);
  return fake(name, { latency, active });
}

function picks(endpoints: ReturnType<typeof fake>[], clock = new FakeClock()) {
  const pick = balance(endpoints, { policy: { kind: "peak-ewma" }, random: seededRandom(3), clock });
  return Array.from({ length: 200 }, () => pick()!.name);
}

it("prefers who answers faster", () => {
  expect(new Set(picks([answering("slow", 50), answering("fast", 5)]))).toEqual(new Set(["fast"]));
});

it("counts what is under way as time to wait", () => {
  const endpoints = [answering("slow", 50), answering("busy", 5, 20)];
  expect(new Set(picks(endpoints))).toEqual(new Set(["slow"]));
});

it("tries a newcomer with one request and leaves it alone until that is answered", () => {
  const newcomer = fake("new", { latency: new LatencyAverage() });
  const known = answering("known", 20, 50);
  expect(new Set(picks([newcomer, known]))).toEqual(new Set(["new"]));
  newcomer.active = 1;
  expect(new Set(picks([newcomer, known]))).toEqual(new Set(["known"]));
});

it("counts a slow answer at once and forgets it within some decay times", async () => {
  const latency = new LatencyAverage();
  for (let at = 0; at < 1_000; at += 10) latency.observe(10, at);
  latency.observe(500, 1_000);
  expect(latency.at(1_000)).toBe(500);
  expect(latency.at(11_000)).toBeCloseTo(500 / Math.E, 5);
  for (let at = 1_010; at < 60_000; at += 10) latency.observe(10, at);
  expect(latency.at(60_000)).toBeLessThan(12);
});
