import { fileURLToPath } from "node:url";
import { freePort, startChild, untilListening } from "../support/children.ts";
import { proxyCore } from "../support/cores.ts";
import type { PeerKind } from "./peer.ts";

/** What a team on Node would otherwise pick. */
export const httpProxy: PeerKind = {
  name: "http-proxy",
  does: "no routes, no metrics; keep-alive both sides",
  install: async () => ({ ok: true, path: "", version: "1.18.1" }),
  async start(backendPort) {
    const port = await freePort();
    const program = fileURLToPath(new URL("./http-proxy-server.ts", import.meta.url));
    const child = startChild(process.execPath, [program, String(port), String(backendPort)], {
      core: proxyCore,
    });
    await untilListening(port, child);
    return { port, pid: child.pid, stop: () => child.stop() };
  },
};
