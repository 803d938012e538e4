import { describe, expect, it } from "vitest";
import { decodeText } from "../decode-text.ts";

function convert(text: string) {
  const { resources, problems } = decodeText(text, "old.yaml");
  const objects = resources.map(({ kind, namespace, name, object }) => ({
    kind,
    namespace,
    name,
    spec: object["spec"],
  }));
  const errors = problems.filter(({ severity = "error" }) => severity === "error");
  const warnings = problems.filter(({ severity }) => severity === "warning");
  return { objects, errors: errors.map(({ path, why, at }) => `${at?.line} ${path}: ${why}`), warnings };
}

function old(kind: string, spec: string, name = "old"): string {
  const group = kind.endsWith("Policy") ? "authentication" : "rbac";
  return `apiVersion: ${group}.istio.io/v1alpha1\nkind: ${kind}\nmetadata: { name: ${name}, namespace: shop }\nspec: ${spec}\n---\n`;
}

describe("a Policy", () => {
  it("becomes a PeerAuthentication, with a warning that names it and the command", () => {
    const { objects, errors, warnings } = convert(
      old("Policy", "{ targets: [{ name: product }], peers: [{ mtls: {} }] }"),
    );
    expect(errors).toEqual([]);
    expect(objects).toEqual([
      {
        kind: "PeerAuthentication",
        namespace: "shop",
        name: "old-product",
        spec: { selector: { matchLabels: { app: "product" } }, mtls: { mode: "STRICT" } },
      },
    ]);
    expect(warnings[0]).toMatchObject({
      why: expect.stringMatching(/PeerAuthentication/),
      hint: expect.stringMatching(/weft convert/),
    });
  });

  it.each([
    ["{}", "DISABLE"],
    ["{ peers: [{ mtls: }] }", "STRICT"],
    ["{ peers: [{ mtls: { mode: PERMISSIVE } }] }", "PERMISSIVE"],
    ["{ peers: [{ mtls: {} }], peerIsOptional: true }", "PERMISSIVE"],
  ])("%s asks for mTLS as %s", (spec, mode) => {
    expect(convert(old("Policy", spec)).objects[0]!.spec).toEqual({ mtls: { mode } });
  });

  it("with origins also becomes a RequestAuthentication, and a DENY for who has no token", () => {
    const origin =
      "{ jwt: { issuer: i, jwksUri: 'https://i/k', triggerRules: [{ excludedPaths: [{ exact: /health }] }] } }";
    const { objects } = convert(old("MeshPolicy", `{ peers: [{ mtls: {} }], origins: [${origin}] }`));
    expect(objects.map(({ kind, namespace }) => `${kind} ${namespace}`)).toEqual([
      "PeerAuthentication istio-system",
      "RequestAuthentication istio-system",
      "AuthorizationPolicy istio-system",
    ]);
    expect(objects[2]!.spec).toEqual({
      action: "DENY",
      rules: [
        {
          from: [{ source: { notRequestPrincipals: ["*"] } }],
          to: [{ operation: { notPaths: ["/health"] } }],
        },
      ],
    });
  });
});

describe("a ServiceRole and its binding", () => {
  const role = old(
    "ServiceRole",
    "{ rules: [{ services: [product.shop.svc.cluster.local], methods: [GET], paths: [/a*], constraints: [{ key: 'request.headers[v]', values: [v1] }] }] }",
    "viewer",
  );
  const binding = (subjects: string, more = "") =>
    old(
      "ServiceRoleBinding",
      `{ subjects: [${subjects}], roleRef: { kind: ServiceRole, name: viewer }${more} }`,
      "bind",
    );

  it("become one AuthorizationPolicy", () => {
    const { objects, errors } = convert(
      role + binding("{ user: cluster.local/ns/shop/sa/ui }, { properties: { source.namespace: test } }"),
    );
    expect(errors).toEqual([]);
    expect(objects).toEqual([
      {
        kind: "AuthorizationPolicy",
        namespace: "shop",
        name: "bind-product",
        spec: {
          selector: { matchLabels: { app: "product" } },
          action: "ALLOW",
          rules: [
            {
              from: [
                { source: { principals: ["cluster.local/ns/shop/sa/ui"] } },
                { source: { namespaces: ["test"] } },
              ],
              to: [{ operation: { methods: ["GET"], paths: ["/a*"] } }],
              when: [{ key: "request.headers[v]", values: ["v1"] }],
            },
          ],
        },
      },
    ]);
  });

  it("only try what was PERMISSIVE, and let everybody in who was *", () => {
    const { resources } = decodeText(role + binding('{ user: "*" }', ", mode: PERMISSIVE"), "old.yaml");
    expect(resources[0]!.annotations).toEqual({ "istio.io/dry-run": "true" });
    expect(resources[0]!.object["spec"]).not.toHaveProperty("rules.0.from");
  });

  it("are refused with line and field where something would get lost", () => {
    expect(convert(binding("{ user: a }")).errors[0]).toMatch(
      /^4 spec\.roleRef\.name: namespace shop has no ServiceRole "viewer"/,
    );
    const bound = role + binding("{ group: admins }");
    expect(convert(bound).errors[0]).toMatch(/spec\.subjects\[0\]\.group: has no successor/);
    expect(convert(bound).objects).toEqual([]);
    const constrained = old(
      "ServiceRole",
      "{ rules: [{ services: ['*'], constraints: [{ key: 'destination.labels[v]', values: [x] }] }] }",
      "viewer",
    );
    expect(convert(constrained + binding("{ user: a }")).errors[0]).toMatch(
      /constraints\[0\]\.key.*has no successor/,
    );
  });
});

describe("a ClusterRbacConfig", () => {
  it.each([
    ["{ mode: OFF }", []],
    ["{ mode: ON }", ["istio-system/allow-nothing"]],
    [
      "{ mode: ON_WITH_INCLUSION, inclusion: { namespaces: [a], services: [p.b.svc.cluster.local] } }",
      ["a/allow-nothing", "b/allow-nothing-p"],
    ],
    [
      "{ mode: ON_WITH_EXCLUSION, exclusion: { namespaces: [a] } }",
      ["istio-system/allow-nothing", "a/allow-everything"],
    ],
  ])("%s becomes %j", (spec, expected) => {
    const { objects, errors } = convert(old("ClusterRbacConfig", spec));
    expect([errors, objects.map(({ namespace, name }) => `${namespace}/${name}`)]).toEqual([[], expected]);
  });
});
