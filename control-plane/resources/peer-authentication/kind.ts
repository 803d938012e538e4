import type { KindDefinition } from "../kind.ts";
import { defineSecurityKind } from "../kind.ts";
import { compilePeerAuthentication } from "./compile.ts";
import { peerAuthenticationSpec } from "./schema.ts";
import { validatePeerAuthentication } from "./validate.ts";

/** Whether callers must prove who they are by mutual TLS. */
export const peerAuthentication: KindDefinition = defineSecurityKind({
  kind: "PeerAuthentication",
  plural: "peerauthentications",
  shortNames: ["pa"],
  columns: [
    { name: "Mode", type: "string", jsonPath: ".spec.mtls.mode", description: "What callers must do" },
  ],
  schema: peerAuthenticationSpec,
  validate: validatePeerAuthentication,
  compile: compilePeerAuthentication,
});
