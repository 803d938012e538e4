import { createServer } from "node:net";
import { loadOriginalDestination } from "../../proxy/net/original-destination.ts";

// Tells each client where its connection was meant to go: `SERVER PORT`.
const originalDestination = await loadOriginalDestination();
createServer((socket) => {
  socket.on("error", () => {});
  socket.end(JSON.stringify({ port: socket.localPort, meant: originalDestination(socket) ?? null }));
}).listen({ port: Number(process.argv[2]), host: "::" }, () => process.stdout.write("ready\n"));
