import type { KindDefinition } from "../kind.ts";
import { defineNetworkingKind } from "../kind.ts";
import { compileGateway } from "./compile.ts";
import { gatewaySpec } from "./schema.ts";
import { validateGateway } from "./validate.ts";

/** Servers at the mesh's edge (Istio's Gateway). */
export const gateway: KindDefinition = defineNetworkingKind({
  kind: "Gateway",
  plural: "gateways",
  shortNames: ["gw"],
  columns: [],
  schema: gatewaySpec,
  validate: validateGateway,
  compile: compileGateway,
});
