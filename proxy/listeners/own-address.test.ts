import { networkInterfaces } from "node:os";
import { describe, expect, it } from "vitest";
import { isOwnAddress } from "./own-address.ts";

describe("isOwnAddress", () => {
  it.each([
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "::",
    "::1",
    "0:0:0:0:0:0:0:1",
    "0000:0000:0000:0000:0000:0000:0000:0000",
    "::ffff:127.0.0.1",
    "::FFFF:127.0.0.1",
    "::ffff:7f00:1",
    "0:0:0:0:0:ffff:7f00:0001",
    "::ffff:0:0",
  ])("knows %s in every spelling", (address) => expect(isOwnAddress(address)).toBe(true));

  it("knows the addresses of this machine's interfaces", () => {
    const all = Object.values(networkInterfaces()).flatMap((own) => own ?? []);
    expect(all.map(({ address }) => isOwnAddress(address.toUpperCase()))).toEqual(all.map(() => true));
    for (const { address, family } of all)
      if (family === "IPv4") expect(isOwnAddress(`::ffff:${address}`)).toBe(true);
  });

  it.each(["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "128.0.0.1"])(
    "knows that %s is another's",
    (address) => expect(isOwnAddress(address)).toBe(false),
  );
});
