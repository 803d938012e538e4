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

// covers VirtualService http[].delegate
describe("what a rule that delegates says itself", () => {
  const join = (rootFields: string, childFields: string) => {
    const text = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: root, namespace: edge }
spec: { hosts: [www.example.com], http: [{ delegate: { name: child, namespace: team }, ${rootFields} }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: child, namespace: team }
spec: { http: [{ ${childFields} }] }
`;
    const { resources, problems } = decodeText(text, "mesh.yaml");
    expect(problems.filter(({ severity }) => severity !== "warning")).toEqual([]);
    return buildSnapshot(resources).virtualServices.all[0]!.rules[0]!.route;
  };
  const all = `timeout: 5s, retries: { attempts: 4 }, rewrite: { uri: /root }, mirror: { host: shadow },
    mirrorPercentage: { value: 50 }, corsPolicy: { allowMethods: [GET] },
    fault: { abort: { httpStatus: 418, percentage: { value: 1 } } },
    headers: { request: { set: { x-root: yes } } }`;
  const forward = "route: [{ destination: { host: reviews } }]";

  it("holds for the delegate's rules that do not say it", () => {
    const route = join(all, forward);
    expect(route).toMatchObject({
      cors: { allowMethods: ["GET"] },
      fault: { abort: { httpStatus: 418 } },
      requestHeaders: { set: [["x-root", "yes"]] },
      action: {
        timeoutMs: 5_000,
        retry: { attempts: 4 },
        rewrite: { prefix: "/root" },
        destinations: [{ destination: { host: "reviews.team.svc.cluster.local" } }],
        // Names mean what they mean where they are written.
        mirrors: [{ destination: { host: "shadow.edge.svc.cluster.local" }, fraction: 0.5 }],
      },
    });
  });

  it("gives way to what they do say, field by field and whole; also to a time-out of none", () => {
    const own = `timeout: 0s, retries: { attempts: 0 }, rewrite: { authority: own.example.com }, mirrors: [],
      headers: { response: { set: { x-own: yes } } }, ${forward}`;
    const { action, requestHeaders, responseHeaders, fault } = join(all, own);
    expect(action).toMatchObject({ retry: { attempts: 0 }, rewrite: { authority: "own.example.com" } });
    expect(action).not.toHaveProperty("timeoutMs");
    expect(action).toHaveProperty("mirrors", []);
    expect(action).not.toHaveProperty("rewrite.prefix");
    expect([requestHeaders.set, responseHeaders.set]).toEqual([[], [["x-own", "yes"]]]);
    expect(fault?.abort?.httpStatus).toBe(418);
  });

  it("is no more for a redirect than what a redirect can have", () => {
    const route = join(all, "redirect: { uri: /elsewhere }");
    expect(route.action).toEqual({ kind: "redirect", path: "/elsewhere", status: 301 });
    expect(route.cors?.allowMethods).toEqual(["GET"]);
  });
});
