/**
 * The cheapest backend that Node can be: answers every read that ends a head with one constant response, without parsing.
 * `node bench/support/raw-backend.ts PORT [BODY_BYTES]`
 */
import { createServer } from "node:net";
import { argv } from "node:process";

const port = Number(argv[2] ?? 9999);
const bodyLength = Number(argv[3] ?? 100);
const head = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: raw\r\nContent-Length: ${bodyLength}\r\n\r\n`;
const response = Buffer.from(head + "x".repeat(bodyLength), "latin1");

createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    if (chunk.includes("\r\n\r\n")) socket.write(response);
  });
}).listen(port, "127.0.0.1", 4096);
