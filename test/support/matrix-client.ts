import { get } from "node:http";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { GrpcClient } from "./grpc-app.ts";

// An unmodified client of a protocol: `PROTOCOL HOST`; prints what it heard, as JSON.
const [, , protocol = "", host = ""] = process.argv;

const clients: Readonly<Record<string, () => Promise<unknown>>> = {
  gRPC: async () => {
    const client = new GrpcClient(50_051, host, host);
    const said = await client.say("hi", { deadlineMs: 20_000 });
    const chat = client.chat();
    chat.write("one");
    const heard = await new Promise((resolve) => chat.once("data", resolve));
    chat.end();
    client.stop();
    return { code: said.code, text: said.text, trailer: said.trailers?.get("x-trailer")[0], heard };
  },
  WebSocket: () =>
    new Promise((resolve, reject) => {
      const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13" };
      const key = { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" };
      get({ host, port: 80, headers: { ...headers, ...key } }, (answer) =>
        reject(new Error(`${answer.statusCode}`)),
      )
        .on("upgrade", ({ statusCode }, socket) => {
          socket.write("ping");
          socket.once("data", (chunk: Buffer) => {
            resolve({ status: statusCode, heard: chunk.toString() });
            socket.destroy();
          });
        })
        .on("error", reject);
    }),
  TCP: () =>
    new Promise((resolve, reject) => {
      const socket = connect(9000, host, () => socket.write("ping"));
      socket.on("error", reject).once("data", (chunk) => {
        resolve(chunk.toString());
        socket.destroy();
      });
    }),
  TLS: () =>
    new Promise((resolve, reject) => {
      const options = { host, port: 9443, servername: host, rejectUnauthorized: false };
      const socket = connectTls(options, () => socket.write("ping"));
      socket.on("error", reject).once("data", (chunk: Buffer) => {
        resolve(chunk.toString());
        socket.destroy();
      });
    }),
};

process.stdout.write(`${JSON.stringify(await clients[protocol]!())}\n`);
process.exit(0);
