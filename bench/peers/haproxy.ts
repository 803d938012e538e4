import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, startChild, untilListening } from "../support/children.ts";
import { proxyCore } from "../support/cores.ts";
import { installFromDebian } from "../support/install.ts";
import { scratchFolder } from "../support/scratch.ts";
import type { PeerKind } from "./peer.ts";

export const haproxy: PeerKind = {
  name: "HAProxy",
  does: "no routes, no metrics; one thread, keep-alive both sides",
  install: () => installFromDebian("haproxy", "haproxy"),
  async start(backendPort) {
    const port = await freePort();
    const file = join(scratchFolder(), "haproxy.cfg");
    writeFileSync(
      file,
      `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  server backend 127.0.0.1:${backendPort}
`,
    );
    const child = startChild("/usr/sbin/haproxy", ["-db", "-f", file], { core: proxyCore });
    await untilListening(port, child);
    return { port, pid: child.pid, stop: () => child.stop() };
  },
};
