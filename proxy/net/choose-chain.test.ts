import { describe, expect, it } from "vitest";
import { chooseChain } from "./choose-chain.ts";

describe("the chain for a server name", () => {
  const chains = [
    { name: "any" },
    { name: "wide", serverNames: ["*.example.com"] },
    { name: "narrow", serverNames: ["*.eu.example.com", "example.com"] },
    { name: "exact", serverNames: ["shop.eu.example.com"] },
  ];

  it.each([
    ["shop.eu.example.com", "exact"],
    ["bank.eu.example.com", "narrow"],
    ["a.b.eu.example.com", "narrow"],
    ["eu.example.com", "wide"],
    ["example.com", "narrow"],
    ["example.org", "any"],
    [undefined, "any"],
  ])("of %s is %s, in whatever order they stand", (serverName, expected) => {
    expect(chooseChain(chains, serverName)?.name).toBe(expected);
    expect(chooseChain(chains.toReversed(), serverName)?.name).toBe(expected);
  });

  it("is none when every chain asks for another name", () => {
    expect(chooseChain(chains.slice(1), "example.org")).toBeUndefined();
    expect(chooseChain(chains.slice(1), undefined)).toBeUndefined();
  });
});
