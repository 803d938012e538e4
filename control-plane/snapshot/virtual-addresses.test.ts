import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assignVirtualAddresses } from "./virtual-addresses.ts";

describe("assignVirtualAddresses", () => {
  it("gives a host the same address wherever it is asked, and in whatever order", () => {
    const { ipv4, ipv6 } = assignVirtualAddresses(["db.example.com", "mail.example.com"]).get(
      "db.example.com",
    )!;
    expect(ipv4).toMatch(/^240\.240\.\d+\.\d+$/);
    expect(ipv6).toMatch(/^2001:2::[0-9a-f]{1,4}$/);
    expect(assignVirtualAddresses(["mail.example.com", "db.example.com"]).get("db.example.com")).toEqual({
      ipv4,
      ipv6,
    });
  });

  it("gives no address twice, and leaves everyone theirs when hosts come and go", () => {
    const hosts = fc.uniqueArray(fc.domain(), { maxLength: 200 });
    fc.assert(
      fc.property(hosts, hosts, (first, second) => {
        const before = assignVirtualAddresses(first);
        const after = assignVirtualAddresses(second, before);
        expect([...after.keys()].sort()).toEqual([...second].sort());
        expect(new Set([...after.values()].map(({ ipv4 }) => ipv4)).size).toBe(second.length);
        for (const host of second) {
          if (before.has(host)) expect(after.get(host)).toBe(before.get(host));
        }
      }),
      { numRuns: 50 },
    );
  });

  it("fills the range, and then gives no more", () => {
    const hosts = Array.from({ length: 65_540 }, (_, index) => `host-${index}`);
    const given = [...assignVirtualAddresses(hosts).values()];
    expect(given).toHaveLength(65_521);
    expect(new Set(given.map(({ ipv4 }) => ipv4)).size).toBe(65_521);
    expect(new Set(given.map(({ ipv6 }) => ipv6)).size).toBe(65_521);
  });
});
