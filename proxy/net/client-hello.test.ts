import { PassThrough } from "node:stream";
import { connect as connectTls } from "node:tls";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readClientHello } from "./client-hello.ts";

/** The first flight of Node's own TLS client. */
function helloOf(options: {
  servername?: string;
  maxVersion?: "TLSv1.2" | "TLSv1.3";
  ALPNProtocols?: string[];
}): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new PassThrough();
    const duplex = new PassThrough();
    duplex._write = (chunk: Buffer, _encoding, done) => {
      wire.write(chunk);
      done();
    };
    wire.once("data", (bytes: Buffer) => {
      setImmediate(() => {
        client.destroy();
        resolve(bytes);
      });
    });
    const client = connectTls({ socket: duplex, rejectUnauthorized: false, ...options });
    client.on("error", () => {});
  });
}

const name = fc
  .array(fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/), { minLength: 1, maxLength: 4 })
  .map((labels) => labels.join("."))
  .filter((host) => !/^[\d.]+$/.test(host));

/** The same handshake in TLS records of other sizes. */
function recut(hello: Buffer, sizes: readonly number[]): Buffer {
  const body = hello.subarray(5);
  const records: Buffer[] = [];
  let at = 0;
  for (let turn = 0; at < body.length; turn++) {
    const part = body.subarray(at, at + (sizes[turn % sizes.length] ?? 1));
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
    at += part.length;
  }
  return Buffer.concat(records);
}

describe("the first bytes of a connection", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)("tells any server name of a %s client", async (maxVersion) => {
    await fc.assert(
      fc.asyncProperty(name, async (servername) => {
        expect(readClientHello(await helloOf({ servername, maxVersion }))).toEqual({
          kind: "tls",
          serverName: servername,
        });
      }),
      { numRuns: 25 },
    );
  });

  it("tells that a client named nobody", async () => {
    expect(readClientHello(await helloOf({}))).toEqual({ kind: "tls" });
  });

  it("tells what a client offers to speak, besides its server name", async () => {
    const offered = { kind: "tls", protocols: ["istio", "http/1.1"] };
    expect(readClientHello(await helloOf({ ALPNProtocols: ["istio", "http/1.1"] }))).toEqual(offered);
    const both = { servername: "shop.example.com", ALPNProtocols: ["istio", "http/1.1"] };
    expect(readClientHello(await helloOf(both))).toEqual({ ...offered, serverName: "shop.example.com" });
  });

  it("is the same however the records are cut, and incomplete for every beginning", async () => {
    const hello = await helloOf({ servername: "shop.example.com" });
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }), fc.nat(), (sizes, at) => {
        const bytes = recut(hello, sizes);
        expect(readClientHello(bytes)).toEqual({ kind: "tls", serverName: "shop.example.com" });
        expect(readClientHello(bytes.subarray(0, at % bytes.length))).toEqual({ kind: "incomplete" });
      }),
      { numRuns: 200 },
    );
  });

  it("never throws, and never invents a name that is not in the bytes", async () => {
    const hello = await helloOf({ servername: "shop.example.com" });
    fc.assert(
      fc.property(fc.nat(hello.length - 1), fc.integer({ min: 0, max: 255 }), (at, value) => {
        const changed = Buffer.from(hello);
        changed[at] = value;
        const read = readClientHello(changed);
        if (read.kind === "tls" && read.serverName !== undefined)
          expect(changed.toString("latin1").toLowerCase()).toContain(read.serverName);
      }),
      { numRuns: 1_000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const read = readClientHello(Buffer.concat([Buffer.from([22, 3, 1]), bytes]));
        expect(["incomplete", "malformed", "tls"]).toContain(read.kind);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ["GET / HTTP/1.1\r\n", "plain"],
    ["", "incomplete"],
    ["\x16\x03", "incomplete"],
    ["\x16\x02\x00", "malformed"],
    ["\x16\x03\x01\x00\x00", "malformed"],
    ["\x16\x03\x01\x00\x04\x02\x00\x00\x00", "malformed"],
    ["\x16\x03\x01\x00\x04\x01\xff\xff\xff", "malformed"],
  ] as const)("says of %j that it is %s", (text, kind) => {
    expect(readClientHello(Buffer.from(text, "latin1")).kind).toBe(kind);
  });
});
