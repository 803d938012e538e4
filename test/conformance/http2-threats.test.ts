import { describe, expect, it } from "vitest";
import { ErrorCode, Flag, FrameType } from "../../proxy/http/http2/frame.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import { serviceYaml } from "../support/yaml-mesh.ts";
import { frameBytes, Http2Peer } from "./http2-peer.ts";

/** Cases 22 to 28 of the threat list: what a client can do to HTTP/2, before an app that speaks HTTP/1.1. */

const { after, echo, meshOf } = sceneOfEachTest();

/** The machine may be busy with other things. */
const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 20_000 });

interface Scene {
  readonly app: EchoServer;
  peer(settings?: readonly (readonly [number, number])[]): Promise<Http2Peer>;
}

async function start(handle?: Parameters<typeof echo>[1]): Promise<Scene> {
  const app = await echo("app", handle);
  const mesh = await meshOf(serviceYaml("app.test", { v1: 1 }));
  const sidecar = await mesh.proxy({ inbound: "127.0.0.2:1", app: `127.0.0.1:${app.port}` });
  const port = sidecar.port("virtualInbound")!;
  return {
    app,
    peer: async (settings) => {
      const peer = new Http2Peer(port, "127.0.0.2");
      after(() => peer.stop());
      return peer.begin(settings);
    },
  };
}

/** Still serves: a second client gets its answer. */
async function expectToServe(scene: Scene): Promise<void> {
  const other = await scene.peer();
  other.request(1);
  await eventually(() => other.status(1)).toBe("200");
}

describe("floods", () => {
  it("of requests that are reset at once end the connection, and no other (case 22)", async () => {
    const scene = await start(
      (request, response) => void setTimeout(() => response.end(), request.url === "/slow" ? 1_000 : 0),
    );
    const peer = await scene.peer();
    for (let id = 1; id < 4_000; id += 2) {
      peer.request(id, { path: "/slow" });
      peer.reset(id);
    }
    await eventually(() => peer.goaway).toBe(ErrorCode.enhanceYourCalm);
    await eventually(() => peer.isClosed).toBe(true);
    await expectToServe(scene);
  });

  it("of streams that make us reset them end the connection (case 22, MadeYouReset)", async () => {
    const scene = await start(
      (request, response) => void setTimeout(() => response.end(), request.url === "/slow" ? 1_000 : 0),
    );
    const peer = await scene.peer();
    for (let id = 1; id < 4_000; id += 2) {
      peer.request(id, { path: "/slow" });
      peer.frame(FrameType.windowUpdate, 0, id, Buffer.alloc(4));
    }
    await eventually(() => peer.goaway).toBe(ErrorCode.enhanceYourCalm);
    await expectToServe(scene);
  });

  it("do not count against clients that cancel now and then", async () => {
    const scene = await start();
    const peer = await scene.peer();
    for (let id = 1; id < 2_000; id += 2) {
      peer.request(id);
      if (id % 4 === 1) peer.reset(id);
      if (id % 100 === 99) await eventually(() => peer.status(id)).toBe("200");
    }
    expect(peer.goaway).toBeUndefined();
  });

  it.each<[string, (peer: Http2Peer) => void]>([
    ["SETTINGS", (peer) => peer.frame(FrameType.settings, 0, 0)],
    ["PING", (peer) => peer.frame(FrameType.ping, 0, 0, Buffer.alloc(8))],
    ["PRIORITY", (peer) => peer.frame(FrameType.priority, 0, 1, Buffer.alloc(5))],
    ["WINDOW_UPDATE", (peer) => peer.frame(FrameType.windowUpdate, 0, 0, Buffer.from([0, 0, 0, 1]))],
    ["empty DATA", (peer) => peer.data(1, Buffer.alloc(0), false)],
    ["unknown frames", (peer) => peer.frame(99, 0, 0)],
  ])("of %s end the connection (case 25)", async (_what, send) => {
    const scene = await start();
    const peer = await scene.peer();
    peer.request(1, { method: "POST", ends: false });
    for (let i = 0; i < 3_000; i++) send(peer);
    await eventually(() => peer.goaway).toBe(ErrorCode.enhanceYourCalm);
    await expectToServe(scene);
  });

  it("of CONTINUATION end the connection as soon as no header list may be that long (case 23)", async () => {
    const scene = await start();
    const peer = await scene.peer();
    peer.frame(FrameType.headers, 0, 1, peer.block([":method", "GET"]));
    const filler = Buffer.concat([Buffer.from("0001610001", "hex"), Buffer.alloc(16_000, 0x82)]);
    for (let i = 0; i < 100; i++) peer.frame(FrameType.continuation, 0, 1, filler);
    await eventually(() => peer.goaway).toBe(ErrorCode.enhanceYourCalm);
    expect(scene.app.requests).toBe(0);
    await expectToServe(scene);
  });

  it("of CONTINUATION without an octet end the connection too", async () => {
    const scene = await start();
    const peer = await scene.peer();
    peer.frame(FrameType.headers, 0, 1, peer.block([":method", "GET"]));
    for (let i = 0; i < 100; i++) peer.frame(FrameType.continuation, 0, 1);
    await eventually(() => peer.goaway).toBe(ErrorCode.enhanceYourCalm);
  });
});

describe("header lists", () => {
  it("that unfold to more than the limit get 431, cookies counted, and the connection goes on (case 24)", async () => {
    const scene = await start();
    const peer = await scene.peer();
    const crumb = "c".repeat(2_000);
    peer.request(1, {
      fields: Array.from({ length: 40 }, (_, i) => ["cookie", `${i}=${crumb}`])
        .flat()
        .slice(0, 14),
    });
    await eventually(() => peer.status(1)).toBe("200");
    // One entry of the table, named many times over: a bomb of 60 octets a kilobyte.
    const bomb = Buffer.concat([
      peer.block([":method", "GET", ":scheme", "http", ":authority", "app.test", ":path", "/"]),
      Buffer.from("40", "hex"),
      Buffer.from([1, 0x61, 0x7f, 0x80 + (1_873 & 0x7f), 1_873 >> 7]),
      Buffer.alloc(2_000, 0x62),
      Buffer.alloc(100, 0xbe),
    ]);
    peer.frame(FrameType.headers, Flag.endHeaders | Flag.endStream, 3, bomb);
    await eventually(() => peer.status(3)).toBe("431");
    expect(scene.app.requests).toBe(1);
  });

  const base = [":method", "GET", ":scheme", "http", ":authority", "app.test", ":path", "/"];
  const raw = (name: string, value: string) =>
    Buffer.concat([
      Buffer.from([0, name.length]),
      Buffer.from(name, "latin1"),
      Buffer.from([value.length]),
      Buffer.from(value, "latin1"),
    ]);

  it.each<[string, readonly (readonly [string, string])[]]>([
    ["an upper-case name", [["X-A", "b"]]],
    ["connection", [["connection", "close"]]],
    ["keep-alive", [["keep-alive", "1"]]],
    ["transfer-encoding", [["transfer-encoding", "chunked"]]],
    ["upgrade", [["upgrade", "h2c"]]],
    ["te other than trailers", [["te", "gzip"]]],
    ["an unknown pseudo-header", [[":x", "y"]]],
    ["a pseudo-header twice", [[":path", "/b"]]],
    [
      "a pseudo-header behind others",
      [
        ["a", "b"],
        [":status", "200"],
      ],
    ],
    ["CR LF in a value", [["a", "b\r\nx: y"]]],
    ["NUL in a value", [["a", "b\0"]]],
    ["a space in a name", [["a b", "c"]]],
    ["another host than the authority", [["host", "other.test"]]],
    [
      "two lengths",
      [
        ["content-length", "0"],
        ["content-length", "0"],
      ],
    ],
    ["a length that is none", [["content-length", "+5"]]],
  ])("with %s are reset and never reach the app (cases 27, 28)", async (_what, fields) => {
    const scene = await start();
    const peer = await scene.peer();
    const block = Buffer.concat([peer.block(base), ...fields.map(([name, value]) => raw(name, value))]);
    peer.frame(FrameType.headers, Flag.endHeaders | Flag.endStream, 1, block);
    await eventually(() => peer.resetOf(1)).toBe(ErrorCode.protocolError);
    peer.request(3);
    await eventually(() => peer.status(3)).toBe("200");
    expect(scene.app.requests).toBe(1);
  });

  it.each([
    ["", "reset"],
    ["x", "reset"],
    ["http://app.test/", "reset"],
    ["/a b", "reset"],
    ["/a\r\nGET /admin HTTP/1.1", "reset"],
    ["*", "reset"],
    ["/a#b", "400"],
  ])("with the path %j never become another request (case 27)", async (path, outcome) => {
    const scene = await start();
    const peer = await scene.peer();
    peer.request(1, { path });
    if (outcome === "reset") await eventually(() => peer.resetOf(1)).toBe(ErrorCode.protocolError);
    else await eventually(() => peer.status(1)).toBe(outcome);
    expect(scene.app.requests).toBe(0);
  });

  it("with a path beyond the limit get 414 (case 18)", async () => {
    const scene = await start();
    const peer = await scene.peer();
    peer.request(1, { path: `/${"a".repeat(20_000)}` });
    await eventually(() => peer.status(1)).toBe("414");
    expect(scene.app.requests).toBe(0);
  });

  it("behind a body that do not end the stream are a protocol error (case 26)", async () => {
    const scene = await start();
    const peer = await scene.peer();
    peer.request(1, { method: "POST", ends: false });
    peer.data(1, Buffer.from("abc"), false);
    peer.headers(1, ["x-trailer", "a"], false);
    await eventually(() => peer.resetOf(1)).toBe(ErrorCode.protocolError);
  });
});

describe("bodies", () => {
  it.each([
    ["more", "5", "abcdef"],
    ["less", "5", "abcd"],
  ])("with %s octets than their length says are a protocol error (case 28)", async (_what, length, body) => {
    const scene = await start();
    const peer = await scene.peer();
    peer.request(1, { method: "POST", fields: ["content-length", length], ends: false });
    peer.data(1, Buffer.from(body), true);
    await eventually(() => peer.resetOf(1)).toBe(ErrorCode.protocolError);
    await expectToServe(scene);
  });

  it("that overrun a window end the stream or the connection", async () => {
    const scene = await start((_request, _response) => {});
    const peer = await scene.peer();
    peer.request(1, { method: "POST", ends: false });
    const piece = Buffer.alloc(16_384);
    for (let i = 0; i < 400; i++) peer.write(frameBytes(FrameType.data, 0, 1, piece));
    await eventually(
      () => peer.goaway === ErrorCode.flowControlError || peer.resetOf(1) === ErrorCode.flowControlError,
    ).toBe(true);
  });

  it("for readers that give no window wait, without cost for others on the connection (case 25)", async () => {
    const scene = await start((request, response) =>
      response.end(request.url === "/big" ? "x".repeat(1_000_000) : "small"),
    );
    const peer = await scene.peer([[4, 0]]);
    for (let id = 1; id < 200; id += 2) peer.request(id, { path: "/big" });
    peer.request(201);
    await eventually(() => peer.status(201)).toBe("200");
    expect(peer.octets(1)).toBe(0);
    peer.frame(FrameType.windowUpdate, 0, 201, Buffer.from([0, 0, 1, 0]));
    await eventually(() => peer.octets(201)).toBe(5);
  });
});
