import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatPeer, parsePeer } from "./peer-header.ts";

describe("the peer header", () => {
  it("says name, namespace, service account, app and version", () => {
    const labels = { app: "review", version: "v2", other: "x" };
    const text = formatPeer({ name: "review-v2", namespace: "shop", serviceAccount: "review", labels });
    expect(text).toBe("review-v2;shop;review;review;v2");
    expect(parsePeer(text)).toEqual({
      name: "review-v2",
      namespace: "shop",
      serviceAccount: "review",
      labels: { app: "review", version: "v2" },
    });
  });

  it("reads back any names, and is always a legal header value", () => {
    const name = fc.string({ unit: "grapheme", maxLength: 20 });
    fc.assert(
      fc.property(name, name, name, name, name, (workload, namespace, serviceAccount, app, version) => {
        const peer = { name: workload, namespace, serviceAccount, labels: { app, version } };
        const text = formatPeer(peer);
        expect(text).toMatch(/^[!-~]*$/);
        const read = parsePeer(text);
        expect([read?.name, read?.labels["app"] ?? ""]).toEqual([workload, app]);
      }),
    );
  });

  it.each(["", "a", "a;b;c;d", "a;b;c;d;e;f", "%;b;c;d;e", "%ff;b;c;d;e", `${"a".repeat(2_000)};b;c;d;e`])(
    "refuses %j",
    (text) => {
      expect(parsePeer(text)).toBeUndefined();
    },
  );
});
