import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { createServer } from "node:net";

// What runs in a pod of the tests: `VERSION`. HTTP/1.1 on 8080, HTTP/2 without TLS on 8081, an echo on 9000, one who speaks first on 9001.
const [, , version = "v1"] = process.argv;
const told = (from: string | undefined, headers: NodeJS.Dict<string | string[]>): string =>
  `${JSON.stringify({ version, from, host: headers.host ?? headers[":authority"], xfcc: headers["x-forwarded-client-cert"] })}\n`;
const greet = (text: string, port: number) =>
  createServer((socket) => {
    socket.on("error", () => {});
    if (text !== "") socket.write(text);
    socket.on("data", (chunk) => socket.write(`${version} ${chunk.toString()}`));
  }).listen(port, "::");

createHttpServer(({ socket, headers }, answer) => void answer.end(told(socket.remoteAddress, headers)))
  .on("upgrade", (_, socket) => {
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    socket.on("data", (chunk: Buffer) => socket.write(`${version} ${chunk.toString()}`));
  })
  .listen(8080, "::");
createHttp2Server(
  ({ socket, headers }, answer) => void answer.end(told(socket.remoteAddress, headers)),
).listen(8081, "::");
greet("", 9000);
greet(`hello from ${version}\n`, 9001);
greet("", 9999).on("listening", () => process.stdout.write("ready\n"));
