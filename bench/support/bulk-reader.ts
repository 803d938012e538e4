/**
 * Asks for one large body after the other, and reads each as fast as it comes: `node bulk-reader.ts PORT HOST PATH`. Prints a line for each
 * body: ms that it took.
 */
import { Agent, request } from "node:http";
import { argv, stdout } from "node:process";

const [port = "", host = "", path = ""] = argv.slice(2);
const agent = new Agent({ keepAlive: true });
for (;;) {
  const startedAt = performance.now();
  await new Promise<void>((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port: Number(port), path, headers: { host }, agent });
    asked.on("response", (response) => response.resume().on("end", resolve).on("error", reject));
    asked.on("error", reject).end();
  });
  stdout.write(`${Math.round(performance.now() - startedAt)}\n`);
}
