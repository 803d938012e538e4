import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DomainTable } from "./domain-table.ts";
import { canonicalAuthority, hostOf, portOf } from "./host.ts";

function find(domains: readonly string[], authority: string): string | undefined {
  return new DomainTable(domains.map((domain) => ({ domain, value: domain }))).find(authority)?.value;
}

const all = [
  "*",
  "*.com",
  "*.example.com",
  "a.example.com",
  "a.example.com:8080",
  "a.*",
  "a.exam*",
  "*-x.example.com",
  "[::1]",
  "reviews",
];

describe("DomainTable", () => {
  it.each([
    ["a.example.com:8080", "a.example.com:8080"],
    ["a.example.com:9090", "a.example.com"],
    ["A.Example.COM.:9090", "a.example.com"],
    ["A.example.com.", "a.example.com"],
    ["b.example.com", "*.example.com"],
    ["b.example.com:80", "*.example.com"],
    ["b.c.example.com", "*.example.com"],
    ["b-x.example.com", "*-x.example.com"],
    [".example.com", "*.com"],
    ["example.com", "*.com"],
    ["a.example.org", "a.exam*"],
    ["a.b:80", "a.*"],
    ["a.", "*"],
    ["[::1]:80", "[::1]"],
    ["[::2]", "*"],
    ["", "*"],
  ])("finds %s under %s", (authority, domain) => {
    expect(find(all, authority)).toBe(domain);
  });

  it("finds nothing without a domain that fits", () => {
    expect(find(all.slice(1), "productpage")).toBeUndefined();
  });

  it("lets the first of two equal domains keep it", () => {
    const table = new DomainTable([
      { domain: "a", value: 1 },
      { domain: "A.", value: 2 },
    ]);
    expect(table.find("a")?.value).toBe(1);
  });

  it("follows its order of kinds for all domains and hosts", () => {
    const label = fc.constantFrom("a", "b", "ab");
    const host = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join("."));
    const port = fc.constantFrom("", ":80", ":81");
    const domain = fc.oneof(
      fc.tuple(host, port).map((parts) => parts.join("")),
      host.map((suffix) => `*.${suffix}`),
      host.map((front) => `${front}.*`),
      fc.constant("*"),
    );
    fc.assert(
      fc.property(fc.uniqueArray(domain), host, port, (domains, name, suffix) => {
        expect(find(domains, name + suffix)).toBe(slowFind(domains, name, name + suffix));
      }),
      { numRuns: 500 },
    );
  });
});

/** The rule as written, without tables. */
function slowFind(domains: readonly string[], host: string, authority: string): string | undefined {
  const longestFirst = [...domains].sort((a, b) => b.length - a.length);
  const candidates = [authority, host];
  const ends = (form: string) =>
    longestFirst.find(
      (d) => d.length > 1 && d[0] === "*" && form.endsWith(d.slice(1)) && form.length >= d.length,
    );
  const begins = (form: string) =>
    longestFirst.find(
      (d) => d.length > 1 && d.endsWith("*") && form.startsWith(d.slice(0, -1)) && form.length >= d.length,
    );
  const kinds = [(form: string) => domains.find((d) => d === form), ends, begins];
  for (const kind of kinds) {
    for (const form of candidates) {
      const found = kind(form);
      if (found !== undefined) return found;
    }
  }
  return domains.find((d) => d === "*");
}

describe("authority", () => {
  it.each([
    ["Reviews.:9080", "reviews:9080", "reviews", "9080"],
    ["[::1]:80", "[::1]:80", "[::1]", "80"],
    ["[::1]", "[::1]", "[::1]", ""],
    ["a", "a", "a", ""],
    ["a:", "a:", "a", ""],
  ])("%s is %s: host %s, port %j", (authority, canonical, host, port) => {
    expect(canonicalAuthority(authority)).toBe(canonical);
    expect(hostOf(canonical)).toBe(host);
    expect(portOf(canonical)).toBe(port);
  });
});
