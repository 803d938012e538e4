import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { decodeText } from "../decode-text.ts";
import { kindDefinitions } from "../index.ts";
import { kinds } from "../resource.ts";
import { formatYaml } from "../yaml.ts";
import { crdFileName, crdOf } from "./crd.ts";
import { resourceReference } from "./reference.ts";

const folder = fileURLToPath(new URL("../../../crds/", import.meta.url));
const structuralKeys = new Set([
  "type",
  "description",
  "properties",
  "required",
  "items",
  "additionalProperties",
  "enum",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "minItems",
  "format",
  "x-kubernetes-preserve-unknown-fields",
]);

/** Kubernetes' rules for structural schemas, as far as we use them. */
function checkStructural(schema: Record<string, unknown>, path: string): void {
  for (const key of Object.keys(schema)) expect(structuralKeys, `${path}: ${key}`).toContain(key);
  const isOpen = schema["x-kubernetes-preserve-unknown-fields"] === true;
  expect(typeof schema["type"] === "string" || isOpen, `${path} has a type`).toBe(true);
  expect(
    schema["properties"] && schema["additionalProperties"],
    `${path} has properties or additionalProperties`,
  ).toBeFalsy();
  if (schema["type"] === "array") expect(schema["items"], `${path} has items`).toBeTypeOf("object");
  for (const [name, inner] of Object.entries(schema["properties"] ?? {}))
    checkStructural(inner, `${path}.${name}`);
  for (const part of ["items", "additionalProperties"]) {
    const inner = schema[part];
    if (inner !== undefined) checkStructural(inner as Record<string, unknown>, `${path}.${part}`);
  }
}

const istioVersions = [
  ["v1", true, true],
  ["v1beta1", true, false],
  ["v1alpha3", true, false],
];

describe("the list of kinds", () => {
  it("holds every kind once, in the order of resource.ts", () => {
    expect(kindDefinitions.map((definition) => definition.kind)).toEqual(kinds);
  });
});

describe.each(kindDefinitions)("the CRD of $kind", (definition) => {
  it("is in crds/ as the schema says (else: npm run crds)", () => {
    expect(readFileSync(folder + crdFileName(definition), "utf8")).toBe(formatYaml(crdOf(definition)));
  });

  it("has a structural schema, serves its versions and stores the first", () => {
    const { spec } = crdOf(definition) as {
      spec: {
        versions: { name: string; served: boolean; storage: boolean; schema: { openAPIV3Schema: object } }[];
      };
    };
    expect(spec.versions.map(({ name, served, storage }) => [name, served, storage])).toEqual([
      ...(definition.group === "weft.dev"
        ? [["v1alpha1", true, true]]
        : istioVersions.slice(0, definition.group === "security.istio.io" ? 2 : 3)),
    ]);
    checkStructural(spec.versions[0]!.schema.openAPIV3Schema as Record<string, unknown>, definition.kind);
  });

  it("has an example without problems", () => {
    const decoded = decodeText(
      readFileSync(`${folder}examples/${crdFileName(definition)}`, "utf8"),
      "example.yaml",
    );
    expect(decoded.problems).toEqual([]);
    expect(decoded.resources.map((resource) => resource.kind)).toContain(definition.kind);
  });
});

describe("docs/reference/resources.md", () => {
  it("says what the schemas say (else: npm run crds)", () => {
    expect(readFileSync(`${folder}../docs/reference/resources.md`, "utf8")).toBe(resourceReference());
  });
});

describe("crds/", () => {
  it("holds nothing else", () => {
    const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"));
    expect(files.sort()).toEqual(kindDefinitions.map(crdFileName).sort());
  });
});
