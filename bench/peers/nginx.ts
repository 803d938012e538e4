import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, startChild, untilListening } from "../support/children.ts";
import { proxyCore } from "../support/cores.ts";
import { installFromDebian } from "../support/install.ts";
import { scratchFolder } from "../support/scratch.ts";
import type { PeerKind } from "./peer.ts";

export const nginx: PeerKind = {
  name: "nginx",
  does: "no routes, no metrics; one process, keep-alive both sides",
  install: () => installFromDebian("nginx", "nginx-light"),
  async start(backendPort) {
    const port = await freePort();
    const folder = scratchFolder();
    writeFileSync(
      join(folder, "nginx.conf"),
      `daemon off; master_process off; pid ${folder}/pid; error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; tcp_nodelay on;
  client_body_temp_path ${folder}; proxy_temp_path ${folder};
  fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  upstream backend { server 127.0.0.1:${backendPort}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; }
  }
}
`,
    );
    const child = startChild("/usr/sbin/nginx", ["-c", join(folder, "nginx.conf"), "-p", folder], {
      core: proxyCore,
    });
    await untilListening(port, child);
    return { port, pid: child.pid, stop: () => child.stop() };
  },
};
