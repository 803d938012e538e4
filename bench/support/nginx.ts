import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Child } from "./children.ts";
import { startChild } from "./children.ts";
import { scratchFolder } from "./scratch.ts";

/** One nginx process without logs that keeps connections alive without end; `servers` is the rest of its http section. */
export function startNginx(program: string, core: number, servers: string): Child {
  const folder = scratchFolder();
  const file = join(folder, "nginx.conf");
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${folder}/pid; error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; tcp_nodelay on;
  client_body_temp_path ${folder}; proxy_temp_path ${folder};
  fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  ${servers}
}
`,
  );
  return startChild(program, ["-c", file, "-p", folder], { core });
}
