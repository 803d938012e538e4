import type { KindDefinition } from "../kind.ts";
import { defineOwnKind } from "../kind.ts";
import { compileRateLimit } from "./compile.ts";
import { rateLimitSpec } from "./schema.ts";
import { validateRateLimit } from "./validate.ts";

/** How many requests may come, by whatever tells them apart. */
export const rateLimit: KindDefinition = defineOwnKind({
  kind: "RateLimit",
  plural: "ratelimits",
  shortNames: ["rl"],
  columns: [
    {
      name: "Gateway",
      type: "string",
      jsonPath: ".spec.target.gateway.name",
      description: "The Gateway whose requests are counted",
    },
    {
      name: "Service",
      type: "string",
      jsonPath: ".spec.target.service.host",
      description: "The service whose requests are counted",
    },
  ],
  schema: rateLimitSpec,
  validate: validateRateLimit,
  compile: compileRateLimit,
});
