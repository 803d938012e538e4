import { freePort, untilListening } from "../support/children.ts";
import { proxyCore } from "../support/cores.ts";
import { installFromDebian } from "../support/install.ts";
import { startNginx } from "../support/nginx.ts";
import type { PeerKind } from "./peer.ts";

export const nginx: PeerKind = {
  name: "nginx",
  does: "no routes, no metrics; one process, keep-alive both sides",
  install: () => installFromDebian("nginx", "nginx-light"),
  async start(backendPort) {
    const port = await freePort();
    const child = startNginx(
      "/usr/sbin/nginx",
      proxyCore,
      `upstream backend { server 127.0.0.1:${backendPort}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; }
  }`,
    );
    await untilListening(port, child);
    return { port, pid: child.pid, stop: () => child.stop() };
  },
};
