import type { KindDefinition } from "../kind.ts";
import { defineSecurityKind } from "../kind.ts";
import { compileAuthorizationPolicy } from "./compile.ts";
import { authorizationPolicySpec } from "./schema.ts";
import { validateAuthorizationPolicy } from "./validate.ts";

/** Who may do what. */
export const authorizationPolicy: KindDefinition = defineSecurityKind({
  kind: "AuthorizationPolicy",
  plural: "authorizationpolicies",
  shortNames: ["ap"],
  columns: [
    { name: "Action", type: "string", jsonPath: ".spec.action", description: "What becomes of a match" },
  ],
  schema: authorizationPolicySpec,
  validate: validateAuthorizationPolicy,
  compile: compileAuthorizationPolicy,
});
