import type { KindDefinition } from "../kind.ts";
import { defineOwnKind } from "../kind.ts";
import { compileCircuitBreaker } from "./compile.ts";
import { circuitBreakerSpec } from "./schema.ts";
import { validateCircuitBreaker } from "./validate.ts";

/** When calls to a service or through a rule stop for a while, and what is answered instead. */
export const circuitBreaker: KindDefinition = defineOwnKind({
  kind: "CircuitBreaker",
  plural: "circuitbreakers",
  shortNames: ["cb"],
  columns: [
    {
      name: "Service",
      type: "string",
      jsonPath: ".spec.target.service.host",
      description: "The service that is called",
    },
    {
      name: "Route",
      type: "string",
      jsonPath: ".spec.target.route.virtualService",
      description: "The VirtualService whose calls are meant",
    },
  ],
  schema: circuitBreakerSpec,
  validate: validateCircuitBreaker,
  compile: compileCircuitBreaker,
});
