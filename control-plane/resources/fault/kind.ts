import type { KindDefinition } from "../kind.ts";
import { defineOwnKind } from "../kind.ts";
import { compileFaultKind } from "./compile.ts";
import { faultSpec } from "./schema.ts";
import { validateFault } from "./validate.ts";

/** Faults that a VirtualService has no field for: on request, slow answers, broken connections. */
export const fault: KindDefinition = defineOwnKind({
  kind: "Fault",
  plural: "faults",
  shortNames: ["flt"],
  columns: [
    {
      name: "Route",
      type: "string",
      jsonPath: ".spec.target.route.virtualService",
      description: "The VirtualService whose requests are meant",
    },
    {
      name: "Service",
      type: "string",
      jsonPath: ".spec.target.service.host",
      description: "The service whose connections are meant",
    },
  ],
  schema: faultSpec,
  validate: validateFault,
  compile: compileFaultKind,
});
