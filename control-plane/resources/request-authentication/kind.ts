import type { KindDefinition } from "../kind.ts";
import { defineSecurityKind } from "../kind.ts";
import { compileRequestAuthentication } from "./compile.ts";
import { requestAuthenticationSpec } from "./schema.ts";
import { validateRequestAuthentication } from "./validate.ts";

/** Whose tokens are believed. */
export const requestAuthentication: KindDefinition = defineSecurityKind({
  kind: "RequestAuthentication",
  plural: "requestauthentications",
  shortNames: ["ra"],
  columns: [],
  schema: requestAuthenticationSpec,
  validate: validateRequestAuthentication,
  compile: compileRequestAuthentication,
});
