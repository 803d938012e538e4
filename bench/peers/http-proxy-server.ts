import { Agent, createServer } from "node:http";
import httpProxy from "http-proxy";

/** `node http-proxy-server.ts PORT BACKENDPORT` */
const [port, backendPort] = process.argv.slice(2).map(Number);
const proxy = httpProxy.createProxyServer({
  target: { host: "127.0.0.1", port: backendPort! },
  agent: new Agent({ keepAlive: true, maxSockets: 4096 }),
});
proxy.on("error", (_error, _request, response) => {
  if ("writeHead" in response) response.writeHead(502).end();
  else response.destroy();
});
createServer((request, response) => proxy.web(request, response)).listen(port, "127.0.0.1");
