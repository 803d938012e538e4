import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { splice } from "./splice.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

describe("spliced sockets", () => {
  it("pass bytes and each side's end on, and close when both have ended", async () => {
    const { client, server, closed } = await spliced();
    client.end("question");
    expect(await textOf(server)).toBe("question");
    server.end("answer after the other side's end");
    expect(await textOf(client)).toBe("answer after the other side's end");
    await closed;
  });

  it("take no more than the slower side does", async () => {
    const { client, server } = await spliced();
    server.pause();
    const chunk = Buffer.alloc(1 << 20);
    // What the sockets of three connections hold between them is a few megabytes; a splice that keeps what it can't pass on has no end.
    for (let sent = 0; sent < 64; sent++) client.write(chunk);
    client.end();
    await expect.poll(() => client.writableLength).toBeGreaterThan(32 << 20);
    let received = 0;
    server.on("data", (bytes: Buffer) => {
      received += bytes.length;
    });
    server.resume();
    await once(server, "end");
    expect(received).toBe(64 << 20);
  });

  it("both end when one breaks", async () => {
    const { client, server, closed } = await spliced();
    client.resume();
    const gone = once(client, "end");
    server.resetAndDestroy();
    await Promise.all([gone, closed]);
  });
});

it("ends what is left when one side was gone before", async () => {
  const { inner, outer, client, server } = await pair();
  server.resume();
  const gone = new Promise((resolve) => inner.resume().once("close", resolve));
  client.resetAndDestroy();
  await gone;
  await new Promise<void>((resolve) => {
    splice(inner, outer, { fromFirst: () => {}, fromSecond: () => {}, closed: resolve });
  });
  expect(outer.destroyed).toBe(true);
});

it("passes on an end that came before", async () => {
  const { inner, outer, client, server } = await pair();
  const ended = once(outer.resume(), "end");
  server.end();
  await ended;
  splice(inner, outer, { fromFirst: () => {}, fromSecond: () => {}, closed: () => {} });
  expect(await textOf(client)).toBe("");
});

/** client → spliced pair → server */
async function spliced(): Promise<{ client: Socket; server: Socket; closed: Promise<void> }> {
  const { inner, outer, client, server } = await pair();
  const closed = new Promise<void>((resolve) => {
    const { destroy } = splice(inner, outer, { fromFirst: () => {}, fromSecond: () => {}, closed: resolve });
    stops.push(destroy);
  });
  return { client, server, closed };
}

/** client → inner, outer → server */
async function pair(): Promise<{ inner: Socket; outer: Socket; client: Socket; server: Socket }> {
  const front = await listening();
  const back = await listening();
  const client = dial(front);
  const [inner] = (await once(front, "connection")) as [Socket];
  const outer = dial(back);
  const [server] = (await once(back, "connection")) as [Socket];
  stops.push(
    () => inner.destroy(),
    () => server.destroy(),
  );
  for (const socket of [inner, outer, client, server]) socket.on("error", () => {});
  inner.pause();
  return { inner, outer, client, server };
}

async function listening(): Promise<Server> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stops.push(() => server.close());
  return server;
}

function dial(server: Server): Socket {
  const { port } = server.address() as AddressInfo;
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  stops.push(() => socket.destroy());
  return socket;
}

async function textOf(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  await once(socket, "end");
  return text;
}
