import { createHash } from "node:crypto";
import { once } from "node:events";
import type { ClientHttp2Stream, ServerHttp2Stream } from "node:http2";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { Http2Caller } from "../support/http2-app.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import { onlyPort, resourceYaml } from "../support/yaml-mesh.ts";

/** WebSocket through a sidecar, over HTTP/1.1 and over HTTP/2 (RFC 8441), on either side. The tunnel's bytes are any bytes here. */

const { after: atEnd, meshOf } = sceneOfEachTest();

const host = "chat.test";
const key = "dGhlIHNhbXBsZSBub25jZQ==";
const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

async function sidecarTo(port: number, protocol: string): Promise<number> {
  const mesh = await meshOf(
    resourceYaml(
      "ServiceEntry",
      "chat",
      `
hosts: [${host}]
location: MESH_INTERNAL
ports: [{ number: 80, name: main, protocol: ${protocol} }]
resolution: STATIC
endpoints: [{ address: 127.0.0.1, ports: { main: ${port} } }]`,
    ),
  );
  return onlyPort(await mesh.proxy({ name: "web" }));
}

/** Answers the handshake of HTTP/1.1 and then sends back what it gets, in capitals. */
async function http1App(status = 101): Promise<{ readonly port: number; readonly heads: string[] }> {
  const heads: string[] = [];
  const server = createServer((socket) => {
    let head = "";
    const read = (chunk: Buffer): void => {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      heads.push(head);
      socket.off("data", read);
      const asked = /sec-websocket-key: (\S+)/i.exec(head)?.[1] ?? "";
      const answer = createHash("sha1")
        .update(`${asked}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest("base64");
      if (status !== 101)
        socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno`);
      else {
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${answer}\r\n\r\n`,
        );
        socket.on("data", (bytes: Buffer) => socket.write(bytes.toString().toUpperCase()));
        socket.on("end", () => socket.end("BYE"));
      }
    };
    socket.on("data", read);
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(() => server.close());
  return { port: (server.address() as AddressInfo).port, heads };
}

/** The same with extended CONNECT. */
async function http2App(): Promise<{ readonly port: number; readonly heads: object[] }> {
  const heads: object[] = [];
  const server = createHttp2Server({ settings: { enableConnectProtocol: true } });
  server.on("session", (session) => {
    session.on("error", () => {});
    atEnd(() => session.destroy());
  });
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    heads.push(headers);
    stream.respond({ ":status": 200 });
    stream.on("data", (bytes: Buffer) => stream.write(bytes.toString().toUpperCase()));
    stream.on("end", () => stream.end("BYE"));
    stream.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(() => server.close());
  return { port: (server.address() as AddressInfo).port, heads };
}

/** A browser's side over HTTP/1.1: the response's head, then the socket. */
async function openHttp1(port: number): Promise<{ readonly head: string; readonly socket: Socket }> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  atEnd(() => socket.destroy());
  socket.write(
    `GET /room HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  );
  let head = "";
  while (!head.includes("\r\n\r\n")) head += String((await once(socket, "data"))[0]);
  return { head, socket };
}

async function openHttp2(
  port: number,
): Promise<{ readonly status: number; readonly stream: ClientHttp2Stream }> {
  const caller = new Http2Caller(port);
  atEnd(() => caller.stop());
  await once(caller.session, "remoteSettings");
  expect(caller.session.remoteSettings.enableConnectProtocol).toBe(true);
  const stream = caller.session.request({
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":path": "/room",
    ":scheme": "http",
    ":authority": host,
    "sec-websocket-version": "13",
  });
  stream.on("error", () => {});
  const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
  return { status: Number(headers[":status"]), stream };
}

async function talk(end: Socket | ClientHttp2Stream): Promise<void> {
  for (const word of ["hello", "again"]) {
    end.write(word);
    expect(String((await once(end, "data"))[0])).toBe(word.toUpperCase());
  }
  end.end();
  expect(String((await once(end, "data"))[0])).toBe("BYE");
  await once(end, "end");
}

describe("a WebSocket through a sidecar", () => {
  it("goes from HTTP/1.1 to HTTP/1.1", async () => {
    const app = await http1App();
    const { head, socket } = await openHttp1(await sidecarTo(app.port, "HTTP"));
    expect(head).toMatch(/^HTTP\/1.1 101/);
    expect(head).toContain(accept);
    await talk(socket);
  });

  it("goes from HTTP/2 to HTTP/1.1, with a key of the sidecar's own", async () => {
    const app = await http1App();
    const { status, stream } = await openHttp2(await sidecarTo(app.port, "HTTP"));
    expect(status).toBe(200);
    expect(app.heads[0]).toMatch(/^GET \/room HTTP\/1.1\r\n/);
    expect(app.heads[0]).toMatch(/sec-websocket-key: \S{24}\r\n/i);
    await talk(stream);
  });

  it("goes from HTTP/1.1 to HTTP/2, and the client sees the answer to its own key", async () => {
    const app = await http2App();
    const { head, socket } = await openHttp1(await sidecarTo(app.port, "HTTP2"));
    expect(head).toMatch(/^HTTP\/1.1 101/);
    expect(head).toContain(accept);
    expect(app.heads[0]).toMatchObject({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/room" });
    expect(app.heads[0]).not.toHaveProperty("sec-websocket-key");
    await talk(socket);
  });

  it("goes from HTTP/2 to HTTP/2", async () => {
    const app = await http2App();
    const { status, stream } = await openHttp2(await sidecarTo(app.port, "HTTP2"));
    expect(status).toBe(200);
    await talk(stream);
  });

  it("that the app refuses is an ordinary answer, and what was sent too early goes nowhere (cases 12, 13)", async () => {
    const app = await http1App(403);
    const port = await sidecarTo(app.port, "HTTP");
    const { head, socket } = await openHttp1(port);
    expect(head).toMatch(/^HTTP\/1.1 403/);
    socket.destroy();
    const { status, stream } = await openHttp2(port);
    expect(status).toBe(403);
    stream.write("GET /admin HTTP/1.1\r\n\r\n");
    expect(String((await once(stream, "data"))[0])).toBe("no");
    for (const seen of app.heads) expect(seen).not.toContain("/admin");
  });
});
