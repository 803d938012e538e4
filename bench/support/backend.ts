import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Child } from "./children.ts";
import { freePort, startChild, untilListening } from "./children.ts";
import { loadCore } from "./cores.ts";
import { scratchFolder } from "./scratch.ts";

/** The server behind every proxy: answers each request with 200 and a body of a fixed size. */
export interface Backend {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * nginx, which costs a third of the CPU of a server in Node and so leaves the load core to the load; `node` for machines without.
 * Both speak keep-alive without end.
 */
export async function startBackend(kind: "nginx" | "node", bodyBytes: number): Promise<Backend> {
  const port = await freePort();
  const child = kind === "nginx" ? startNginx(port, bodyBytes) : startNode(port, bodyBytes);
  await untilListening(port, child);
  return { port, stop: () => child.stop() };
}

function startNode(port: number, bodyBytes: number): Child {
  const program = fileURLToPath(new URL("./raw-backend.ts", import.meta.url));
  return startChild(process.execPath, [program, String(port), String(bodyBytes)], { core: loadCore });
}

function startNginx(port: number, bodyBytes: number): Child {
  const folder = scratchFolder();
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off; master_process off; pid ${folder}/pid; error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; tcp_nodelay on;
  client_body_temp_path ${folder}; proxy_temp_path ${folder};
  fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  server { listen 127.0.0.1:${port} backlog=4096; location / { default_type text/plain; return 200 "${"x".repeat(bodyBytes)}"; } }
}
`,
  );
  return startChild("nginx", ["-c", join(folder, "nginx.conf"), "-p", folder], { core: loadCore });
}
