/**
 * Opens connections, asks once on each, and holds them: `node idle-connections.ts PORT HOST PATH COUNT`. Prints how many were answered once
 * all were, and stays until it is stopped.
 */
import type { Socket } from "node:net";
import { connect } from "node:net";
import { argv, stdout } from "node:process";

const [port = "", host = "", path = "", count = ""] = argv.slice(2);
const atOnce = 50;
const held: Socket[] = [];
let [begun, answered, closed] = [0, 0, 0];

function open(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), "127.0.0.1");
    held.push(socket);
    socket.once("data", () => {
      answered++;
      resolve();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      closed++;
      resolve();
    });
    socket.resume().write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  });
}

await Promise.all(
  Array.from({ length: atOnce }, async () => {
    while (begun++ < Number(count)) await open();
  }),
);
stdout.write(`held ${answered - closed}\n`);
setInterval(() => {}, 1 << 30);
