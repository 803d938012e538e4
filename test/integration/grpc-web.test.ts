import { request } from "undici";
import { describe, expect, it } from "vitest";
import { startGrpcApp } from "../support/grpc-app.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import { onlyPort, resourceYaml } from "../support/yaml-mesh.ts";

/** What a browser's gRPC-Web client sends, over HTTP/1.1, to a gRPC server that knows nothing of it. */

const { after, meshOf } = sceneOfEachTest();

async function startWeb() {
  const app = await startGrpcApp();
  after(() => app.stop());
  const mesh = await meshOf(
    resourceYaml(
      "ServiceEntry",
      "echo",
      `
hosts: [echo.test]
location: MESH_INTERNAL
ports: [{ number: 80, name: main, protocol: GRPC-WEB }]
resolution: STATIC
endpoints: [{ address: 127.0.0.1, ports: { main: ${app.port} } }]`,
    ),
  );
  const port = onlyPort(await mesh.proxy({ name: "web" }));
  return {
    app,
    call: (method: string, type: string, body: Buffer | string) => callWeb(port, method, type, body),
  };
}

async function callWeb(port: number, method: string, type: string, body: Buffer | string) {
  const {
    statusCode,
    headers,
    body: answer,
  } = await request(`http://127.0.0.1:${port}/test.Echo/${method}`, {
    method: "POST",
    headers: { host: "echo.test", "content-type": type, "x-grpc-web": "1" },
    body,
  });
  return { statusCode, headers, bytes: Buffer.from(await answer.arrayBuffer()) };
}

function message(text: string): Buffer {
  const bytes = Buffer.alloc(5 + text.length);
  bytes.writeUInt32BE(text.length, 1);
  bytes.write(text, 5);
  return bytes;
}

/** `[flag, content]` of each frame. */
function frames(bytes: Buffer): readonly (readonly [number, string])[] {
  const found: [number, string][] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 1);
    found.push([bytes[at]!, bytes.toString("latin1", at + 5, at + 5 + length)]);
    at += 5 + length;
  }
  return found;
}

describe("gRPC-Web to a port of protocol GRPC-WEB", () => {
  it("reaches a gRPC server, and the trailers come back as the last frame", async () => {
    const { call, app } = await startWeb();
    const { statusCode, headers, bytes } = await call("Say", "application/grpc-web+proto", message("hello"));
    expect([statusCode, headers["content-type"]]).toEqual([200, "application/grpc-web+proto"]);
    const [answer, trailers, ...more] = frames(bytes);
    expect(answer).toEqual([0, "you said hello"]);
    expect(trailers![0]).toBe(0x80);
    expect(trailers![1]).toContain("grpc-status: 0\r\n");
    expect(trailers![1]).toContain("x-trailer: behind\r\n");
    expect(more).toEqual([]);
    expect(app.calls[0]!.metadata.get("x-grpc-web")).toEqual(["1"]);
  });

  it("streams many messages", async () => {
    const { call } = await startWeb();
    const all = frames((await call("Count", "application/grpc-web", message("50"))).bytes);
    expect(all.slice(0, 50).map(([, text]) => text)).toEqual(
      Array.from({ length: 50 }, (_, i) => String(i + 1)),
    );
    expect(all[50]![0]).toBe(0x80);
  });

  it("comes and goes in base64 where the client asks for text", async () => {
    const { call } = await startWeb();
    const body = message("hello").toString("base64");
    const { headers, bytes } = await call("Say", "application/grpc-web-text", body);
    expect(headers["content-type"]).toMatch(/^application\/grpc-web-text/);
    const [answer, trailers] = frames(Buffer.from(bytes.toString("latin1"), "base64"));
    expect(answer).toEqual([0, "you said hello"]);
    expect(trailers![1]).toContain("grpc-status: 0");
  });

  it("shows an error in the head, where browsers can read it", async () => {
    const { call, app } = await startWeb();
    app.failures.push(5);
    const { headers, bytes } = await call("Say", "application/grpc-web", message("hello"));
    expect([headers["grpc-status"], bytes.length]).toEqual(["5", 0]);
  });
});
