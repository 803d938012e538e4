import type { PortPlan } from "./port-plan.ts";
import { defaultPortBase } from "./port-plan.ts";

/** What notes may name besides the parts of the plan. */
export interface NoteContext {
  readonly plan: PortPlan;
  /** How the reader can call this very command, such as `npx weft`. */
  readonly command: string;
  /** The mesh file's folder as the reader would write it. */
  readonly folder: string;
}

/**
 * Fills in the addresses of this run: `${gateway.NAME}` and `${gateway.NAME.SERVERPORT}`, `${sidecar.NAME}` (admin),
 * `${outbound.NAME}`, `${control-plane}`, `${weft}`, `${here}`. Anything else in `${…}` stays, it may be the shell's.
 */
export function fillNotes(notes: string, { plan, command, folder }: NoteContext): string {
  const values = new Map<string, string>([
    ["control-plane", url(plan.http)],
    [
      "weft",
      plan.base === defaultPortBase ? command : `WEFT_CONTROL_PLANE=127.0.0.1:${plan.http} ${command}`,
    ],
    ["here", folder],
  ]);
  for (const { gateway, admin, servers } of plan.gateways) {
    values.set(`sidecar.${gateway.name}`, url(admin));
    for (const [server, port] of [...servers].reverse()) {
      values.set(`gateway.${gateway.name}.${server}`, url(port));
      values.set(`gateway.${gateway.name}`, url(port));
    }
  }
  for (const { name, admin, outbound } of plan.instances) {
    values.set(`sidecar.${name}`, url(admin));
    values.set(`outbound.${name}`, url(outbound));
  }
  return notes.replaceAll(/\$\{([^}\s]+)\}/g, (whole, name: string) => values.get(name) ?? whole);
}

function url(port: number): string {
  return `http://127.0.0.1:${port}`;
}
