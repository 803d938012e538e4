import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isTrustDomain, parseSpiffeId, spiffeIdOf } from "./spiffe.ts";

describe("parseSpiffeId", () => {
  it("reads back what spiffeIdOf writes", () => {
    const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
    fc.assert(
      fc.property(name, name, name, (trustDomain, namespace, serviceAccount) => {
        const spiffeId = spiffeIdOf({ trustDomain, namespace, serviceAccount });
        const principal = `${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
        expect(parseSpiffeId(spiffeId)).toEqual({
          spiffeId,
          principal,
          trustDomain,
          namespace,
          serviceAccount,
        });
      }),
    );
  });

  it("keeps an ID of another form, without namespace and service account", () => {
    expect(parseSpiffeId("spiffe://example.org/billing/payments")).toMatchObject({
      principal: "example.org/billing/payments",
      namespace: "",
      serviceAccount: "",
    });
  });

  it.each([
    "",
    "spiffe://",
    "spiffe://example.org",
    "spiffe://example.org/",
    "spiffe:///ns/a/sa/b",
    "spiffe://Example.org/ns/a/sa/b",
    "SPIFFE://example.org/ns/a/sa/b",
    "https://example.org/ns/a/sa/b",
    "spiffe://user@example.org/ns/a/sa/b",
    "spiffe://example.org:8443/ns/a/sa/b",
    "spiffe://example.org/ns//sa/b",
    "spiffe://example.org/ns/a/sa/b/",
    "spiffe://example.org/ns/../sa/b",
    "spiffe://example.org/ns/./sa/b",
    "spiffe://example.org/ns/a/sa/b?x=y",
    "spiffe://example.org/ns/a/sa/b#c",
    "spiffe://example.org/ns/a/sa/%62",
    "spiffe://example.org/ns/a/sa/b\u0000",
    "spiffe://example.org/ns/a/sa/b\n",
    "spiffe://exämple.org/ns/a/sa/b",
    `spiffe://example.org/${"a".repeat(2_048)}`,
  ])("it refuses %j", (text) => {
    expect(parseSpiffeId(text)).toBeUndefined();
  });

  it("knows a trust domain from what is none", () => {
    expect(["cluster.local", "a_b-c", "", "A", "a/b", "a:1"].map(isTrustDomain)).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});
