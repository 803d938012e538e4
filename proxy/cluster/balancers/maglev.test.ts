import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { balancerContract, fleet, hashingContract, movedShare } from "./contract.ts";

balancerContract("maglev");
hashingContract("maglev");

describe("Maglev, when one of n endpoints goes", () => {
  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.maglev.tableSize
  it.each([65_537, 16_381])("moves at most 1/n + 2 percent of the keys, with a table of %i", (tableSize) => {
    const policy = { kind: "maglev" as const, tableSize };
    const property = fc.property(fleet(3, 20), fc.nat(), (names, at) => {
      expect(movedShare(policy, names, at)).toBeLessThanOrEqual(1 / names.length + 0.02);
    });
    fc.assert(property, { numRuns: 40, seed: 1 });
  });
});
