import { createServer } from "node:http";

/** Answers every request with what arrived, so that one can see what the mesh did to it. */
const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => {
    const echo = {
      servedBy: `echo-${process.env.VERSION ?? "v1"}`,
      method: request.method,
      path: request.url,
      headers: request.headers,
      body: Buffer.concat(parts).toString("utf8"),
    };
    response.writeHead(200, { "content-type": "application/json" });
    response.end(`${JSON.stringify(echo, undefined, 2)}\n`);
  });
});

server.keepAliveTimeout = 120_000;
server.listen(Number(process.env.PORT ?? 9080), "127.0.0.1");

process.once("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
