/**
 * The server behind HTTP/2 proxies: answers every stream with 200 and a body of a fixed size, as gRPC with a length in front and a status
 * behind. `node bench/support/h2-backend.ts PORT http|grpc BODY_BYTES`
 */
import { argv, exit, stdout } from "node:process";
import { systemClock } from "../../common/base/clock.ts";
import { Body } from "../../proxy/http/body.ts";
import { HeaderList } from "../../proxy/http/header-list.ts";
import { defaultHttpServerSettings } from "../../proxy/http/http-server.ts";
import type { Service } from "../../proxy/http/layer.ts";
import { serveHttp } from "../../proxy/http/serve.ts";
import { listen } from "../../proxy/net/listen.ts";

const [, , portText, kind, bodyText] = argv;
const [port, bodyBytes] = [Number(portText), Number(bodyText)];
if (!(port > 0) || !(bodyBytes >= 0) || (kind !== "http" && kind !== "grpc")) {
  stdout.write("usage: h2-backend.ts PORT http|grpc BODY_BYTES\n");
  exit(2);
}

const content = Buffer.alloc(bodyBytes, "x");
const message = Buffer.concat([Buffer.from([0]), Buffer.alloc(4), content]);
message.writeUInt32BE(bodyBytes, 1);

const answer: Service =
  kind === "http"
    ? async () => ({
        status: 200,
        reason: "",
        headers: new HeaderList(["content-type", "text/plain", "content-length", String(bodyBytes)]),
        body: Body.of(content),
      })
    : async (exchange) => {
        exchange.body.pipe({ data: () => true, end: () => {}, fail: () => {} });
        const body = new Body(undefined);
        body.push(message);
        body.end(new HeaderList(["grpc-status", "0", "grpc-message", ""]));
        const headers = new HeaderList(["content-type", "application/grpc"]);
        return { status: 200, reason: "", headers, body };
      };

await listen({ host: "127.0.0.1", port }, (socket) => {
  const downstream = {
    remote: { host: "127.0.0.1", port: socket.remotePort ?? 0 },
    local: { host: "127.0.0.1", port },
    listener: "backend",
    scheme: "http",
  } as const;
  serveHttp(socket, { settings: defaultHttpServerSettings, clock: systemClock, downstream }, answer);
});
