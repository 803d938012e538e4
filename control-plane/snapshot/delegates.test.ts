import { describe, expect, it } from "vitest";
import { decodeText } from "../resources/decode-text.ts";
import { buildSnapshot } from "./build.ts";
import type { MeshRule } from "./mesh.ts";
import type { Snapshot } from "./snapshot.ts";

/** Root and delegate with one match each, as YAML flow maps; what comes out at the one place where they meet. */
function combined(root: string, child: string): { rules: readonly MeshRule[]; snapshot: Snapshot } {
  const text = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: root }
spec: { hosts: [www.example.com], http: [{ match: [${root}], delegate: { name: child } }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: child }
spec: { http: [{ match: [${child}], route: [{ destination: { host: www.example.com } }] }] }
`;
  const { resources, problems } = decodeText(text, "mesh.yaml");
  expect(problems.filter(({ severity }) => severity !== "warning")).toEqual([]);
  const snapshot = buildSnapshot(resources);
  return { snapshot, rules: snapshot.virtualServices.all[0]?.rules ?? [] };
}

describe("a delegate's match under its root's", () => {
  it.each([
    ["{ uri: { prefix: /a } }", "{ uri: { prefix: /a/b } }", { kind: "prefix", value: "/a/b" }],
    ["{ uri: { prefix: /a } }", "{ uri: { exact: /a } }", { kind: "exact", value: "/a" }],
    ["{ uri: { exact: /a } }", "{ uri: { exact: /a } }", { kind: "exact", value: "/a" }],
    ["{ uri: { regex: /a.* } }", "{ method: { exact: GET } }", { kind: "regex", value: "/a.*" }],
    ["{ uri: { regex: /a.* } }", "{ uri: { regex: /a.* } }", { kind: "regex", value: "/a.*" }],
    [
      "{ uri: { prefix: /A }, ignoreUriCase: true }",
      "{ uri: { prefix: /ab } }",
      { kind: "prefix", value: "/ab" },
    ],
  ])("%s and %s is the narrower one", (root, child, path) => {
    expect(combined(root, child).rules[0]?.matches[0]?.match.path).toMatchObject(path);
  });

  it.each([
    ["{ uri: { prefix: /a } }", "{ uri: { prefix: /b } }"],
    ["{ uri: { prefix: /a/b } }", "{ uri: { prefix: /a } }"],
    ["{ uri: { exact: /a } }", "{ uri: { prefix: /a } }"],
    ["{ uri: { regex: /a.* } }", "{ uri: { exact: /ab } }"],
    ["{ uri: { prefix: /a } }", "{ uri: { prefix: /ab }, ignoreUriCase: true }"],
    ["{ method: { exact: GET } }", "{ method: { exact: PUT } }"],
    ["{ port: 80 }", "{ port: 81 }"],
    ["{ sourceLabels: { app: a } }", "{ sourceLabels: { app: b } }"],
    ["{ sourceNamespace: one }", "{ sourceNamespace: two }"],
  ])("%s and %s exclude each other, which is told", (root, child) => {
    const { rules, snapshot } = combined(root, child);
    expect(rules).toEqual([]);
    expect(snapshot.problems).toContainEqual(
      expect.objectContaining({
        path: "spec.http[0].delegate",
        why: expect.stringContaining("can't be combined"),
      }),
    );
  });

  it("asks for the headers, parameters and labels of both", () => {
    const { rules } = combined(
      "{ headers: { x-a: { exact: a } }, queryParams: { q: { exact: '1' } }, sourceLabels: { app: ui } }",
      "{ headers: { x-b: { prefix: b } }, sourceLabels: { version: v1 }, port: 80 }",
    );
    const [match] = rules[0]!.matches;
    expect(match!.match.headers.map(({ name }) => name)).toEqual(["x-a", "x-b"]);
    expect(match!.match.queryParams.map(({ name }) => name)).toEqual(["q"]);
    expect(match!.scope).toEqual({ sourceLabels: { app: "ui", version: "v1" }, port: 80 });
  });
});
