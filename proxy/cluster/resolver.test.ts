import { expect, it } from "vitest";
import { systemResolver } from "./resolver.ts";

it("takes an address as it is, for ever", async () => {
  for (const address of ["127.0.0.1", "::1"]) {
    expect(await systemResolver().resolve(address)).toEqual({
      addresses: [address],
      ttlMs: Number.POSITIVE_INFINITY,
    });
  }
});

it("knows the names that the machine knows without a name server", async () => {
  const { addresses } = await systemResolver().resolve("localhost");
  expect(addresses.some((address) => address === "127.0.0.1" || address === "::1")).toBe(true);
});

it("rejects a name that has no address", async () => {
  await expect(systemResolver().resolve("name.invalid")).rejects.toThrow();
});
