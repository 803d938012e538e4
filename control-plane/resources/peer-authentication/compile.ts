import { compileLabels } from "../fields/labels.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledPeerAuthentication, MutualTlsMode } from "./compiled.ts";
import type { MutualTlsInput, PeerAuthenticationSpec } from "./schema.ts";

export function compilePeerAuthentication(
  { selector, mtls, portLevelMtls }: PeerAuthenticationSpec,
  _context: SpecContext,
): CompiledPeerAuthentication {
  const mode = compileMode(mtls);
  return {
    kind: "PeerAuthentication",
    selector: compileLabels(selector?.matchLabels),
    ...(mode && { mode }),
    ports: new Map(
      Object.entries(portLevelMtls ?? {}).flatMap(([port, input]) => {
        const own = compileMode(input);
        return own === undefined ? [] : [[Number(port), own] as const];
      }),
    ),
  };
}

function compileMode(input: MutualTlsInput | undefined): MutualTlsMode | undefined {
  const { mode = "UNSET" } = input ?? {};
  return mode === "UNSET" ? undefined : (mode.toLowerCase() as MutualTlsMode);
}
