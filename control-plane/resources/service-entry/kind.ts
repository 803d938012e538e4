import type { KindDefinition } from "../kind.ts";
import { defineNetworkingKind } from "../kind.ts";
import { compileServiceEntry } from "./compile.ts";
import { serviceEntrySpec } from "./schema.ts";
import { validateServiceEntry } from "./validate.ts";

/** A service by its hosts, ports and endpoints (Istio's ServiceEntry). */
export const serviceEntry: KindDefinition = defineNetworkingKind({
  kind: "ServiceEntry",
  plural: "serviceentries",
  shortNames: ["se"],
  columns: [
    { name: "Hosts", type: "string", jsonPath: ".spec.hosts", description: "The names of the service" },
    {
      name: "Location",
      type: "string",
      jsonPath: ".spec.location",
      description: "Inside or outside the mesh",
    },
    {
      name: "Resolution",
      type: "string",
      jsonPath: ".spec.resolution",
      description: "How its endpoints are found",
    },
  ],
  schema: serviceEntrySpec,
  validate: validateServiceEntry,
  compile: compileServiceEntry,
});
