import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { Body } from "../../proxy/http/body.ts";
import type { ClientConnection } from "../../proxy/http/client-connection.ts";
import { HeaderList } from "../../proxy/http/header-list.ts";
import { defaultHttpServerSettings } from "../../proxy/http/http-server.ts";
import { clientHttp2 } from "../../proxy/http/http2/client.ts";
import { serveHttp2 } from "../../proxy/http/http2/server.ts";
import { frameBytes, Http2Peer } from "../conformance/http2-peer.ts";
import { plainExchange } from "../support/exchange.ts";

/** Frames that make no sense, in every order: whatever comes, the codec neither throws nor hangs, and serves the next connection. */

const downstream = {
  remote: { host: "127.0.0.1", port: 1 },
  local: { host: "127.0.0.1", port: 2 },
  listener: "fuzz",
  scheme: "http",
} as const;

let port = 0;
let active = 0;
const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  const settings = { ...defaultHttpServerSettings, headerTimeoutMs: 500 };
  const connection = serveHttp2(socket, { settings, clock: systemClock, downstream }, async (exchange) => {
    exchange.body.pipe({ data: () => true, end: () => {}, fail: () => {} });
    return {
      status: 200,
      reason: "",
      headers: new HeaderList(["x-a", "b"]),
      body: Body.of(Buffer.from("answer")),
    };
  });
  active++;
  connection.onClose = () => {
    active--;
  };
});
const crashes: unknown[] = [];
const noteCrash = (error: unknown): void => void crashes.push(error);

beforeAll(async () => {
  process.on("uncaughtException", noteCrash);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  process.off("uncaughtException", noteCrash);
  server.close();
});

const good = [":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "/"];
const frame = fc.record({
  type: fc.oneof(fc.constantFrom(0, 1, 1, 2, 3, 4, 6, 7, 8, 9), fc.nat({ max: 255 })),
  flags: fc.oneof(fc.constantFrom(0, 1, 4, 5, 8, 0x25), fc.nat({ max: 255 })),
  id: fc.constantFrom(0, 1, 1, 2, 3, 5, 7, 0x7fff_ffff),
  payload: fc.oneof(fc.constantFrom("request", "settings", "word", "none"), fc.uint8Array({ maxLength: 40 })),
});
type Made = { type: number; flags: number; id: number; payload: string | Uint8Array };

function payloadOf(payload: string | Uint8Array, peer: Http2Peer): Uint8Array {
  if (typeof payload !== "string") return payload;
  if (payload === "request") return peer.block(good);
  if (payload === "settings") return Buffer.from("000400000000000300000001", "hex");
  return payload === "word" ? Buffer.from([0, 0, 0, 1]) : new Uint8Array(0);
}

describe("whatever frames come", () => {
  it("a server answers or ends the connection, and serves the next", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 25 }), async (frames: Made[]) => {
        const peer = await new Http2Peer(port).begin();
        for (const { type, flags, id, payload } of frames)
          peer.frame(type, flags, id, payloadOf(payload, peer));
        // A PING is answered unless the connection is over or waits for the rest of a header block.
        peer.frame(6, 0, 0, Buffer.from("are you?"));
        peer.socket.end();
        if (!peer.isClosed) await once(peer.socket, "close");
      }),
      { numRuns: 150 },
    );
    const peer = await new Http2Peer(port).begin();
    peer.headers(1, good, true);
    await expect.poll(() => peer.status(1)).toBe("200");
    peer.stop();
    await expect.poll(() => active, { timeout: 20_000 }).toBe(0);
    expect(crashes).toEqual([]);
  });

  it("a client settles every request", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 20 }), async (frames: Made[]) => {
        const upstream = createServer((socket) => {
          socket.on("error", () => {});
          socket.write(frameBytes(4, 0, 0, new Uint8Array(0)));
          for (const { type, flags, id, payload } of frames) {
            const bytes =
              payload === "request"
                ? Buffer.from("88", "hex")
                : typeof payload === "string"
                  ? Buffer.alloc(4, 1)
                  : payload;
            if (!socket.destroyed) socket.write(frameBytes(type, flags, id, bytes));
          }
          setTimeout(() => socket.destroy(), 5);
        }).listen(0, "127.0.0.1");
        await once(upstream, "listening");
        const socket = connect((upstream.address() as AddressInfo).port, "127.0.0.1");
        socket.on("error", () => {});
        await once(socket, "connect");
        const client: ClientConnection = clientHttp2(socket, systemClock);
        const settled = Promise.all(
          [1, 2].map(async () => {
            try {
              const { body } = await client.send(plainExchange({ body: Body.empty() }));
              await new Promise<void>((resolve) =>
                body.pipe({ data: () => true, end: () => resolve(), fail: () => resolve() }),
              );
            } catch {
              // Refused in whatever way.
            }
          }),
        );
        const timer = Promise.withResolvers<string>();
        const cancel = systemClock.after(5_000, () => timer.resolve("still waits"));
        expect(await Promise.race([settled.then(() => "settled"), timer.promise]), String(crashes[0])).toBe(
          "settled",
        );
        cancel();
        client.destroy();
        upstream.close();
      }),
      { numRuns: 100 },
    );
    expect(crashes).toEqual([]);
  });
});
