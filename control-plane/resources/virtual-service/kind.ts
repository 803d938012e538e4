import type { KindDefinition } from "../kind.ts";
import { defineNetworkingKind } from "../kind.ts";
import { compileVirtualService } from "./compile.ts";
import { virtualServiceSpec } from "./schema.ts";
import { validateVirtualService } from "./validate.ts";

/** Which requests go where (Istio's VirtualService, `http` rules). */
export const virtualService: KindDefinition = defineNetworkingKind({
  kind: "VirtualService",
  plural: "virtualservices",
  shortNames: ["vs"],
  columns: [
    {
      name: "Gateways",
      type: "string",
      jsonPath: ".spec.gateways",
      description: "The gateways and sidecars that apply the rules",
    },
    {
      name: "Hosts",
      type: "string",
      jsonPath: ".spec.hosts",
      description: "The hosts that requests ask for",
    },
  ],
  schema: virtualServiceSpec,
  validate: validateVirtualService,
  compile: compileVirtualService,
});
