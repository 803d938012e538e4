import { fileURLToPath } from "node:url";
import type { Child } from "./children.ts";
import { freePort, startChild, untilListening } from "./children.ts";
import { loadCore } from "./cores.ts";
import { startNginx } from "./nginx.ts";

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
  const child =
    kind === "nginx"
      ? startNginx("nginx", loadCore, answerOnly(port, bodyBytes))
      : startNode(port, bodyBytes);
  await untilListening(port, child);
  return { port, stop: () => child.stop() };
}

function startNode(port: number, bodyBytes: number): Child {
  const program = fileURLToPath(new URL("./raw-backend.ts", import.meta.url));
  return startChild(process.execPath, [program, String(port), String(bodyBytes)], { core: loadCore });
}

function answerOnly(port: number, bodyBytes: number): string {
  const answer = `default_type text/plain; return 200 "${"x".repeat(bodyBytes)}";`;
  return `server { listen 127.0.0.1:${port} backlog=4096; location / { ${answer} } }`;
}
