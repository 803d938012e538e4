/**
 * A bare proxy hop: listener → HTTP/1.1 server codec → a plain stack of idle upstream connections → client codec. No routing, no
 * filters, so its number is the ceiling of the data path. `node bench/support/bare-hop.ts LISTEN_PORT BACKEND_PORT`
 */
import { argv, exit, stdout } from "node:process";
import { systemClock } from "../../common/base/clock.ts";
import type { ClientConnection } from "../../proxy/http/client-connection.ts";
import type { Exchange, Response } from "../../proxy/http/exchange.ts";
import { defaultHttpServerSettings } from "../../proxy/http/http-server.ts";
import { connectHttp1 } from "../../proxy/http/http1/client.ts";
import { serveHttp1 } from "../../proxy/http/http1/server.ts";
import type { Service } from "../../proxy/http/layer.ts";
import { listen } from "../../proxy/net/listen.ts";

const [listenPort, backendPort] = argv.slice(2).map(Number);
if (listenPort === undefined || backendPort === undefined) {
  stdout.write("usage: bare-hop.ts LISTEN_PORT BACKEND_PORT\n");
  exit(2);
}

const idle: ClientConnection[] = [];
const target = { host: "127.0.0.1", port: backendPort, timeoutMs: 1_000 };

async function connectAndSend(exchange: Exchange): Promise<Response> {
  const connection = await connectHttp1(target, systemClock);
  connection.onAvailable = () => idle.push(connection);
  connection.onClose = () => {
    const index = idle.indexOf(connection);
    if (index !== -1) idle.splice(index, 1);
  };
  return connection.send(exchange);
}

const service: Service = (exchange) => idle.pop()?.send(exchange) ?? connectAndSend(exchange);

const listener = await listen({ host: "127.0.0.1", port: listenPort }, (socket) => {
  const downstream = {
    remote: { host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 },
    local: { host: "127.0.0.1", port: listenPort },
    listener: "bench",
    scheme: "http",
  } as const;
  serveHttp1(socket, { settings: defaultHttpServerSettings, clock: systemClock, downstream }, service);
});
stdout.write(`bare hop on ${listener.address.port}\n`);

process.on("SIGTERM", () => {
  const usage = process.resourceUsage();
  stdout.write(`cpu ${Math.round((usage.userCPUTime + usage.systemCPUTime) / 1000)} ms\n`);
  exit(0);
});
