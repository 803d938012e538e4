import type { KindDefinition } from "../kind.ts";
import { defineOwnKind } from "../kind.ts";
import { compileHealthCheck } from "./compile.ts";
import { healthCheckSpec } from "./schema.ts";
import { validateHealthCheck } from "./validate.ts";

/** How the callers of a service ask its endpoints whether they are well. */
export const healthCheck: KindDefinition = defineOwnKind({
  kind: "HealthCheck",
  plural: "healthchecks",
  shortNames: ["hc"],
  columns: [
    {
      name: "Service",
      type: "string",
      jsonPath: ".spec.target.service.host",
      description: "The service whose endpoints are asked",
    },
    { name: "Interval", type: "string", jsonPath: ".spec.interval", description: "Between two checks" },
  ],
  schema: healthCheckSpec,
  validate: validateHealthCheck,
  compile: compileHealthCheck,
});
