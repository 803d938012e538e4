import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readProxyHeader } from "./proxy-protocol.ts";

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

function binary(command: number, family: number, body: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt8(0x20 | command, 0);
  head.writeUInt8(family, 1);
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([signature, head, body]);
}

const four = Buffer.from([192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb]);
const six = Buffer.alloc(36);
six.set([0x20, 0x01, 0x0d, 0xb8], 0);
six[15] = 1;
six.set([0xfd], 16);
six[31] = 2;
six.writeUInt16BE(1, 32);
six.writeUInt16BE(443, 34);

describe("case 47: the PROXY header", () => {
  it.each([
    ["PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "192.0.2.1", 56_324, "198.51.100.1", 443],
    ["PROXY TCP6 2001:db8::1 fd00::2 1 443\r\n", "2001:db8::1", 1, "fd00::2", 443],
    [binary(1, 0x11, four), "192.0.2.1", 56_324, "198.51.100.1", 443],
    [
      binary(1, 0x11, Buffer.concat([four, Buffer.from([4, 0, 0])])),
      "192.0.2.1",
      56_324,
      "198.51.100.1",
      443,
    ],
    [binary(1, 0x21, six), "2001:db8::1", 1, "fd00::2", 443],
  ])(
    "says where a connection comes from: %s",
    (written, source, sourcePort, destination, destinationPort) => {
      const bytes = Buffer.from(written as string);
      const found = readProxyHeader(Buffer.concat([bytes, Buffer.from("GET /")]));
      expect(found).toEqual({
        kind: "header",
        octets: bytes.length,
        header: {
          source: { host: source, port: sourcePort },
          destination: { host: destination, port: destinationPort },
        },
      });
      for (let cut = 0; cut < bytes.length; cut++)
        expect(readProxyHeader(bytes.subarray(0, cut)).kind).toBe("incomplete");
    },
  );

  it.each([
    ["PROXY UNKNOWN\r\n"],
    ["PROXY UNKNOWN whatever else\r\n"],
    [binary(0, 0, Buffer.alloc(0))],
    [binary(1, 0x31, Buffer.alloc(216))],
  ])("may say nothing: %s", (written) => {
    expect(readProxyHeader(Buffer.from(written as string))).toMatchObject({ kind: "header", header: {} });
  });

  it.each([
    ["GET / HTTP/1.1\r\n"],
    ["PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n"],
    ["PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536\r\n"],
    ["PROXY TCP4 2001:db8::1 198.51.100.1 1 2\r\n"],
    ["PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n"],
    ["PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n"],
    [`PROXY TCP4 ${"1".repeat(200)}`],
    [binary(2, 0x11, four)],
    [binary(1, 0x11, four.subarray(0, 8))],
    [binary(1, 0x11, Buffer.alloc(5_000))],
  ])("is refused when it can't be one: %s", (written) => {
    expect(readProxyHeader(Buffer.from(written as string)).kind).toBe("malformed");
  });

  it("is read from any bytes without an error", () => {
    const start = fc.constantFrom(signature, Buffer.from("PROXY TCP4 "), Buffer.alloc(0));
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (head, tail) => {
        expect(readProxyHeader(Buffer.concat([head, tail])).kind).toMatch(/^(incomplete|malformed|header)$/);
      }),
    );
  });
});
