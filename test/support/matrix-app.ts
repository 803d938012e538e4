import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import { createServer } from "node:tls";
import { startGrpcApp } from "./grpc-app.ts";

// What speaks TLS and gRPC in a pod of the tests: `CERTIFICATE KEY`. HTTP/2 over TLS on 8443, an echo over TLS on 9443, gRPC on 50051.
const [, , cert = "", key = ""] = process.argv;
const files = { cert: readFileSync(cert), key: readFileSync(key) };

createSecureServer(files, ({ httpVersion }, answer) => void answer.end(`HTTP/${httpVersion}\n`)).listen(
  8443,
  "::",
);
createServer(files, (socket) => {
  socket.on("error", () => {});
  socket.on("data", (chunk) => socket.write(`echo ${chunk.toString()}`));
}).listen(9443, "::");
await startGrpcApp("[::]:50051");
process.stdout.write("ready\n");
