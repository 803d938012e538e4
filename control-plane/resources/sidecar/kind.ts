import type { KindDefinition } from "../kind.ts";
import { defineNetworkingKind } from "../kind.ts";
import { compileSidecar } from "./compile.ts";
import { sidecarSpec } from "./schema.ts";
import { validateSidecar } from "./validate.ts";

/** What the sidecars of a namespace know of the mesh and may reach outside it (Istio's Sidecar). */
export const sidecar: KindDefinition = defineNetworkingKind({
  kind: "Sidecar",
  plural: "sidecars",
  shortNames: [],
  columns: [],
  schema: sidecarSpec,
  validate: validateSidecar,
  compile: compileSidecar,
});
