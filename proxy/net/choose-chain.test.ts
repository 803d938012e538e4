import { describe, expect, it } from "vitest";
import { ChainTable, chainForName } from "./choose-chain.ts";

const at = (host: string, port = 443) => ({ host, port });
const plain = { destination: at("127.0.0.1"), source: "127.0.0.1", isTls: false };
const tls = (serverName?: string) => ({ ...plain, isTls: true, serverName });

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
    expect(new ChainTable(chains).choose(tls(serverName))?.name).toBe(expected);
    expect(new ChainTable(chains.toReversed()).choose(tls(serverName))?.name).toBe(expected);
    if (serverName !== undefined) expect(chainForName(chains, serverName)?.name).toBe(expected);
  });

  it("is none when every chain asks for another name", () => {
    const table = new ChainTable(chains.slice(1));
    expect(table.choose(tls("example.org"))).toBeUndefined();
    expect(table.choose(tls())).toBeUndefined();
    expect(table.choose(plain)).toBeUndefined();
  });
});

describe("the chain for an address", () => {
  const chains = [
    { name: "rest" },
    { name: "mysql", destinationPort: 3306 },
    { name: "mysql-ten", destinationPort: 3306, destinationCidrs: ["10.0.0.0/8"] },
    { name: "mysql-one", destinationPort: 3306, destinationCidrs: ["10.1.2.3", "fd00::/8"] },
    { name: "from-nine", destinationPort: 9, sourceCidrs: ["9.0.0.0/8"] },
    { name: "from-all", destinationPort: 9 },
  ];
  const table = new ChainTable(chains);

  it.each([
    [at("1.2.3.4", 80), "rest"],
    [at("1.2.3.4", 3306), "mysql"],
    [at("10.9.9.9", 3306), "mysql-ten"],
    [at("10.1.2.3", 3306), "mysql-one"],
    [at("fd00::7", 3306), "mysql-one"],
    [at("10.1.2.3", 80), "rest"],
  ])(
    "%o is %s: the port comes before the address, the longer prefix before the shorter",
    (destination, name) => {
      expect(table.choose({ ...plain, destination })?.name).toBe(name);
    },
  );

  it("looks at where the client is last", () => {
    const destination = at("1.1.1.1", 9);
    expect(table.choose({ ...plain, destination, source: "9.1.1.1" })?.name).toBe("from-nine");
    expect(table.choose({ ...plain, destination, source: "8.1.1.1" })?.name).toBe("from-all");
  });

  it("does not go back once a stage has chosen, as in Envoy", () => {
    const [tenOnly] = [new ChainTable(chains.filter(({ name }) => name === "mysql-ten" || name === "rest"))];
    expect(tenOnly.choose({ ...plain, destination: at("1.2.3.4", 3306) })).toBeUndefined();
  });
});

describe("the chain for a transport", () => {
  const chains = [{ name: "open" }, { name: "tls", transport: "tls" as const }];
  it("tells TLS for any name from everything else", () => {
    const table = new ChainTable(chains);
    expect(table.looksAtTls).toBe(true);
    expect(table.choose(tls("a.b"))?.name).toBe("tls");
    expect(table.choose(tls())?.name).toBe("tls");
    expect(table.choose(plain)?.name).toBe("open");
  });

  it("asks for no byte where one chain takes all", () => {
    expect(new ChainTable(chains.slice(0, 1)).only?.name).toBe("open");
    expect(new ChainTable(chains.slice(1)).only).toBeUndefined();
  });
});
