import type { KindDefinition } from "../kind.ts";
import { defineNetworkingKind } from "../kind.ts";
import { compileDestinationRule } from "./compile.ts";
import { destinationRuleSpec } from "./schema.ts";
import { validateDestinationRule } from "./validate.ts";

/** How clients call a service, and which subsets it has (Istio's DestinationRule). */
export const destinationRule: KindDefinition = defineNetworkingKind({
  kind: "DestinationRule",
  plural: "destinationrules",
  shortNames: ["dr"],
  columns: [
    {
      name: "Host",
      type: "string",
      jsonPath: ".spec.host",
      description: "The service whose clients follow the rule",
    },
  ],
  schema: destinationRuleSpec,
  validate: validateDestinationRule,
  compile: compileDestinationRule,
});
