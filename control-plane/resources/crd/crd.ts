import type { KindDefinition } from "../kind.ts";
import type { StructuralSchema } from "./structural-schema.ts";
import { structuralSchema } from "./structural-schema.ts";

/** The CustomResourceDefinition of a kind, under the names that Istio gives it, so that either can be installed. */
export function crdOf(definition: KindDefinition): Readonly<Record<string, unknown>> {
  const schema = { openAPIV3Schema: objectSchema(definition) };
  const columns = definition.columns.map(({ name, type, jsonPath, description }) => ({
    name,
    type,
    jsonPath,
    description,
  }));
  const age = {
    name: "Age",
    type: "date",
    jsonPath: ".metadata.creationTimestamp",
    description: "When the object was created",
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: `${definition.plural}.${definition.group}`,
      labels: { "app.kubernetes.io/part-of": "weft" },
    },
    spec: {
      group: definition.group,
      names: {
        kind: definition.kind,
        listKind: `${definition.kind}List`,
        plural: definition.plural,
        singular: definition.kind.toLowerCase(),
        shortNames: definition.shortNames,
        categories: definition.group === "weft.dev" ? ["weft"] : ["istio-io", "networking-istio-io"],
      },
      scope: "Namespaced",
      versions: definition.versions.map((version, index) => ({
        name: version,
        served: true,
        storage: index === 0,
        subresources: { status: {} },
        additionalPrinterColumns: [...columns, age],
        schema,
      })),
    },
  };
}

function objectSchema(definition: KindDefinition): StructuralSchema {
  return {
    type: "object",
    required: ["spec"],
    properties: {
      spec: structuralSchema(definition.schema),
      status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    },
  };
}

/** The file of a kind below `crds/` and `crds/examples/`: `virtual-service.yaml`. */
export function crdFileName(definition: KindDefinition): string {
  return `${definition.kind.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase()}.yaml`;
}
