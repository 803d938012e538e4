import { fileURLToPath } from "node:url";
import { freePort, startChild, untilListening } from "../support/children.ts";
import { proxyCore } from "../support/cores.ts";
import type { PeerKind } from "./peer.ts";

/** Weft's codecs without a mesh around them: the ceiling of its data path. */
export const weftCodecs: PeerKind = {
  name: "Weft codecs",
  does: "no routes, no metrics, no control plane: parse, forward, parse back; one process",
  install: async () => ({ ok: true, path: "", version: "" }),
  async start(backendPort) {
    const port = await freePort();
    const program = fileURLToPath(new URL("../support/bare-hop.ts", import.meta.url));
    const child = startChild(process.execPath, [program, String(port), String(backendPort)], {
      core: proxyCore,
    });
    await untilListening(port, child);
    return { port, pid: child.pid, stop: () => child.stop() };
  },
};
