import { describe, expect, it } from "vitest";
import { decodeText } from "../resources/decode-text.ts";
import { buildSnapshot } from "./build.ts";
import { compileMeshConfig } from "./mesh-settings.ts";

function warnings(provider: string): readonly string[] {
  const text = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ask }
spec: { action: CUSTOM, provider: { name: ${provider} }, rules: [{}] }`;
  const settings = compileMeshConfig({
    extensionProviders: [{ name: "opa", envoyExtAuthzGrpc: { service: "opa.sec", port: 9191 } }],
  });
  const { problems } = buildSnapshot(decodeText(text, "p.yaml").resources, undefined, settings);
  return problems.map(({ path, why, hint, at }) => `${at?.line} ${path}: ${why} (${hint})`);
}

describe("a policy that asks somebody", () => {
  it("is warned of when nobody is called so, with its line and whom was perhaps meant", () => {
    expect(warnings("opa")).toEqual([]);
    expect(warnings("oba")).toEqual([
      "2 spec.provider.name: the mesh config has no extension provider oba, so everything is refused where this policy holds (did you mean opa?)",
    ]);
  });
});
