import type { PeerKind } from "./peer.ts";

/** No proxy: what the load generator and the backend can do, and so the ceiling of every other row. */
export const direct: PeerKind = {
  name: "no proxy",
  does: "load generator and backend alone",
  install: async () => ({ ok: true, path: "", version: "" }),
  start: async (backendPort) => ({ port: backendPort, stop: async () => {} }),
};
