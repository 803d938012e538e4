import { createServer } from "node:net";

/**
 * `node raw-responder.ts PORT BYTES`: answers every request head with the same response without reading what it says. Requests have
 * no bodies here, so each blank line ends one.
 */
const [port, bytes] = process.argv.slice(2).map(Number);
const body = "x".repeat(bytes ?? 100);
const response = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const blankLine = Buffer.from("\r\n\r\n");

createServer((socket) => {
  let tail: Buffer = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    const bytesSoFar: Buffer = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
    let from = 0;
    let answers = 0;
    for (let end = bytesSoFar.indexOf(blankLine); end !== -1; end = bytesSoFar.indexOf(blankLine, from)) {
      from = end + blankLine.length;
      answers++;
    }
    tail = bytesSoFar.subarray(from);
    if (answers > 0) socket.write(response.repeat(answers), "latin1");
  });
}).listen(port, "127.0.0.1");
