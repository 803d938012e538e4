import { describe, expect, it } from "vitest";
import { Body } from "../../proxy/http/body.ts";
import { HeaderList } from "../../proxy/http/header-list.ts";
import type { Service } from "../../proxy/http/layer.ts";
import type { Answer, ChainOptions } from "./http1-chain.ts";
import { answerOk, Chain } from "./http1-chain.ts";

/** Bad inputs of HTTP/1.1: the numbers are those of the threat list that the mesh was designed against. */

const host = "Host: a\r\n";
const get = `GET / HTTP/1.1\r\n${host}`;
const post = `POST / HTTP/1.1\r\n${host}`;

/** The bytes get `status` and a closed connection, and the upstream never hears of them. */
async function refused(bytes: string | Buffer, status: number, options: ChainOptions = {}): Promise<void> {
  await using chain = await Chain.start(answerOk, options);
  const answer = await chain.converse(bytes);
  expect(answer, JSON.stringify(bytes.toString().slice(0, 120))).toMatch(
    new RegExp(`^HTTP/1\\.1 ${status} `),
  );
  expect(answer.toLowerCase()).toContain("\r\nconnection: close");
  expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  expect(chain.upstream.allReceived).toBe("");
  expect(chain.rejected).toHaveLength(1);
  expect(chain.rejected[0]).toMatchObject({ status, finishedAt: expect.any(Number) });
}

/** The upstream's bytes end in 502 for the client, and in a closed upstream connection. */
async function brokenUpstream(response: string, request = `${get}\r\n`): Promise<void> {
  await using chain = await Chain.start((_, socket) => socket.write(Buffer.from(response, "latin1")));
  const client = await chain.client();
  client.send(request);
  expect(await client.until("\r\n\r\n"), JSON.stringify(response.slice(0, 120))).toMatch(/^HTTP\/1\.1 502 /);
  expect(chain.exchanges[0]).toMatchObject({ flags: "UPE", errorCode: "upstream_protocol_error" });
  await chain.upstream.until(
    () => chain.upstream.sockets[0]!.destroyed || chain.upstream.sockets[0]!.readableEnded,
  );
  client.send(request);
  await chain.upstream.until(() => chain.upstream.sockets.length === 2);
}

describe("requests that could be read in two ways", () => {
  it("case 1: refuses Content-Length together with Transfer-Encoding", async () => {
    await refused(`${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400);
    await refused(`${post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`, 400);
  });

  it.each([
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 5\r\nContent-Length: 5",
    "Content-Length: 5, 6",
    "Content-Length: 5, 5",
  ])("case 2: refuses more than one Content-Length (%j)", (lines) =>
    refused(`${post}${lines}\r\n\r\nhello`, 400),
  );

  it.each(["+5", "-5", "0x5", "5 5", "1_0", "12345678901234567890", "", "5\t5", "5;", "5.0", "٥"])(
    "case 3: refuses Content-Length %j",
    (value) => refused(`${post}Content-Length: ${value}\r\n\r\nhello`, 400),
  );

  it("case 3: refuses a Content-Length line that begins with a space", () =>
    refused(`${post} Content-Length: 5\r\n\r\nhello`, 400));

  it.each([
    ["Transfer-Encoding: xchunked", 400],
    ["Transfer-Encoding: chunked, identity", 400],
    ["Transfer-Encoding: identity, chunked, chunked", 400],
    ["Transfer-Encoding: chunked\x0b", 400],
    ["Transfer-Encoding: \x0bchunked", 400],
    ["Transfer-Encoding: chunked\r\n , identity", 400],
    ["Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400],
    ["Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400],
    ["Transfer-Encoding:", 400],
    ['Transfer-Encoding: "chunked"', 400],
    ["Transfer-Encoding: chunked;q=1", 400],
    ["Transfer-Encoding: gzip, chunked", 501],
  ])("case 4: refuses %j", (line, status) => refused(`${post}${line}\r\n\r\n0\r\n\r\n`, status));

  it("case 5: refuses Transfer-Encoding in HTTP/1.0", () =>
    refused(`POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400));

  it.each(["Host : a", "X Y: a", "NoColon", ": a", "X\0: a", "X\x01: a", "X(: a", "X\x80: a", "A: b\r\n c"])(
    "case 6: refuses the header line %j",
    (line) => refused(`${get}${line}\r\n\r\n`, 400),
  );

  it.each([
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\r\nHost: a\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\n",
    "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
    "GET / HTTP/1.1\rHost: a\r\n\r\n",
  ])("case 7: refuses line ends that are not CRLF (%j)", (bytes) => refused(bytes, 400));

  it.each([
    "fffffffffffffffff\r\n",
    "1000000000000000\r\n",
    "-1\r\n",
    "0x10\r\n",
    " 5\r\nhello\r\n",
    "5 \r\nhello\r\n",
    "5\nhello\r\n",
    "5\r\nhelloo\r\n",
    "5\r\nhelloX\r\n",
    "5\r\nhello\n",
    "\r\n",
    "5;a\nb\r\nhello\r\n",
    `5;${"a".repeat(20_000)}\r\nhello\r\n`,
    `5;a="${"b".repeat(20_000)}`,
    "0\r\nX : y\r\n\r\n",
    `0\r\nX: ${"y".repeat(20_000)}`,
  ])("case 8: refuses the chunk %.40j", async (chunk) => {
    await using chain = await Chain.start(() => {});
    const answer = await chain.converse(`${post}Transfer-Encoding: chunked\r\n\r\n${chunk}`);
    expect(answer).toMatch(/^HTTP\/1\.1 4(?:00|31) /);
    expect(chain.upstream.allReceived).toBe("");
  });

  it("case 8: a chunk extension of 1 MB is refused within 64 KiB, and in the middle of a body cancels the request", async () => {
    await using chain = await Chain.start(() => {});
    const client = await chain.client();
    client.send(`${post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
    await chain.upstream.until(() => chain.upstream.allReceived.includes("hello"));
    client.send(`5;${"a".repeat(1_000_000)}`);
    expect(await client.untilClosed()).toMatch(/^HTTP\/1\.1 400 /);
    expect(chain.exchanges[0]).toMatchObject({ status: 400, flags: "DPE" });
    await chain.upstream.until(
      () => chain.upstream.sockets[0]!.readableEnded || chain.upstream.sockets[0]!.destroyed,
    );
  });

  it("case 8: takes small extensions and does not forward them", async () => {
    await using chain = await Chain.start(() => {});
    const client = await chain.client();
    client.send(`${post}Transfer-Encoding: chunked\r\n\r\n5;a=b;c="d\\"e"\r\nhello\r\n0;z\r\n\r\n`);
    await chain.upstream.until(() => chain.upstream.allReceived.endsWith("0\r\n\r\n"));
    expect(chain.upstream.allReceived).toContain("\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  });

  it("case 9: drops trailers that frame, route or identify, and keeps the others", async () => {
    await using chain = await Chain.start(() => {});
    const client = await chain.client();
    client.send(
      `${post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n` +
        "Host: b\r\nAuthorization: x\r\nX-Forwarded-For: 1.1.1.1\r\nX-Checksum: abc\r\n\r\n",
    );
    await chain.upstream.until(() => chain.upstream.allReceived.includes("abc\r\n\r\n"));
    expect(chain.upstream.allReceived.split("hello\r\n")[1]).toBe("0\r\nX-Checksum: abc\r\n\r\n");
    expect(chain.exchanges[0]!.headers.has("authorization")).toBe(false);
    expect(chain.exchanges[0]!.authority).toBe("a");
  });

  it.each(["ok\0", "\0ok", "a\x7fb", "a\x1bb", "a\x0bb"])("case 10: refuses the header value %j", (value) =>
    refused(`${get}X-Foo: ${value}\r\n\r\n`, 400),
  );

  it("case 10: passes obs-text bytes on exactly as they came", async () => {
    await using chain = await Chain.start(answerOk);
    const client = await chain.client();
    client.send(`${get}X-Foo: \x80\xff\xe4\r\n\r\n`);
    await client.until("ok");
    expect(chain.exchanges[0]!.headers.get("x-foo")).toBe("\x80\xff\xe4");
    expect(chain.upstream.allReceived).toContain("X-Foo: \x80\xff\xe4\r\n");
  });
});

describe("case 11: responses that could be read in two ways", () => {
  it.each([
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 99 Low\r\n\r\n",
    "HTTP/1.1 099 Low\r\n\r\n",
    "HTTP/1.1 abc Letters\r\n\r\n",
    "HTTP/1.1 2000 Long\r\n\r\n",
    "HTTP/2.0 200 OK\r\n\r\n",
    "HTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 200 O\0K\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX-Foo: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nX-Foo : a\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nX-Foo: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "HTTP/1.1 204 No Content\r\n\r\nbody",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok-and-more",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    `HTTP/1.1 200 OK\r\nX: ${"a".repeat(70_000)}\r\n\r\n`,
    `HTTP/1.1 200 OK\r\n${"X: a\r\n".repeat(101)}\r\n`,
  ])("answers 502 to %.60j and does not reuse the connection", (response) => brokenUpstream(response));

  it("answers 502 to a body after HEAD", () =>
    brokenUpstream("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", `HEAD / HTTP/1.1\r\n${host}\r\n`));

  it("does not reuse a connection on which bytes came unasked", async () => {
    await using chain = await Chain.start(answerOk);
    const client = await chain.client();
    client.send(`${get}\r\n`);
    await client.until("ok");
    chain.upstream.sockets[0]!.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    await chain.upstream.until(
      () => chain.upstream.sockets[0]!.readableEnded || chain.upstream.sockets[0]!.destroyed,
    );
    client.received = "";
    client.send(`${get}\r\n`);
    expect(await client.until("ok")).not.toContain("evil");
    expect(chain.upstream.sockets).toHaveLength(2);
  });

  it("lets the client see the truncation when a body breaks after its head", async () => {
    await using chain = await Chain.start((_, socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
      chain.upstream.sockets[0]!.once("test-break", () => socket.write("zz\r\n"));
    });
    const client = await chain.client();
    client.send(`${get}\r\n`);
    await client.until("hello");
    chain.upstream.sockets[0]!.emit("test-break");
    const answer = await client.untilClosed();
    expect(answer).toContain("hello");
    expect(answer).not.toContain("0\r\n\r\n");
    expect(chain.exchanges[0]).toMatchObject({ status: 200, flags: "UPE" });
  });
});

describe("upgrades and tunnels", () => {
  const upgrade = `${get}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n`;
  const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

  it("case 12: a 200 to an upgrade is an ordinary response, and the connection goes on with HTTP", async () => {
    await using chain = await Chain.start((_, socket) => {
      socket.write(
        "HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nok",
      );
    });
    const client = await chain.client();
    client.send(upgrade);
    expect(await client.until("ok")).not.toMatch(/upgrade/i);
    client.received = "";
    client.send(`${get}\r\n`);
    await client.until("ok");
    expect(chain.exchanges).toHaveLength(2);
  });

  it("case 13: bytes before the 101 are held, and reach the tunnel and nobody else", async () => {
    await using chain = await Chain.start(() => {});
    const client = await chain.client();
    client.send(`${upgrade}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
    await chain.upstream.until(() => chain.upstream.allReceived.includes("\r\n\r\n"));
    client.send("more");
    await new Promise((resolve) => setImmediate(resolve));
    expect(chain.upstream.allReceived).not.toContain("smuggled");
    expect(chain.upstream.allReceived).toContain("Connection: Upgrade\r\nUpgrade: websocket\r\n");
    chain.upstream.sockets[0]!.write(`${switched}hi`);
    expect(await client.until("hi")).toMatch(
      /^HTTP\/1\.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/,
    );
    await chain.upstream.until(() => chain.upstream.allReceived.endsWith("more"));
    expect(chain.exchanges).toHaveLength(1);
    expect(chain.upstream.allReceived).toContain("\r\n\r\nGET /smuggled");
    client.socket.end();
    await chain.upstream.until(() => chain.upstream.sockets[0]!.readableEnded);
    chain.upstream.sockets[0]!.end("bye");
    expect(await client.untilClosed()).toContain("hibye");
  });

  it("case 13: bytes before a refused upgrade are never taken for a request", async () => {
    await using chain = await Chain.start((head, socket) => {
      expect(head).not.toContain("smuggled");
      answerOk(head, socket);
    });
    const answer = await chain.converse(`${upgrade}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer.toLowerCase()).toContain("connection: close");
    expect(chain.exchanges).toHaveLength(1);
  });

  it("case 14: CONNECT, with or without early data, is refused and never forwarded", async () => {
    await refused("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405);
    await refused("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 405);
  });

  it("case 15: nominating security headers in Connection does not remove them; other nominated fields go", async () => {
    await using chain = await Chain.start(answerOk);
    const answer = await chain.converse(
      `${get}Connection: close, x-forwarded-client-cert, authorization, X-Hop, cookie, host, x-forwarded-for\r\n` +
        "X-Forwarded-Client-Cert: c\r\nAuthorization: z\r\nx-hop: 1\r\nCookie: k\r\nX-Forwarded-For: 1.2.3.4\r\n" +
        "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip, trailers\r\n\r\n",
    );
    expect(answer).toContain("Connection: close\r\n");
    expect(chain.upstream.allReceived).toBe(
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Client-Cert: c\r\nAuthorization: z\r\nCookie: k\r\n" +
        "X-Forwarded-For: 1.2.3.4\r\nTE: trailers\r\n\r\n",
    );
  });

  it("case 16: an upgrade to h2c is stripped and the request goes on as HTTP/1.1", async () => {
    await using chain = await Chain.start(answerOk);
    const client = await chain.client();
    client.send(
      `${get}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
    );
    await client.until("ok");
    expect(chain.upstream.allReceived).toBe("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(chain.exchanges[0]!.upgrade).toBeUndefined();
  });
});

describe("case 17: authority", () => {
  it.each([
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
    "GET http://a/ HTTP/1.1\r\n\r\n",
    "GET http://a/ HTTP/1.1\r\nHost: b c\r\n\r\n",
    "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://a#y/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
  ])("refuses %j", (bytes) => refused(bytes, 400));

  it.each([
    "",
    "user:pass@a",
    "a:abc",
    "a:",
    "a:99999",
    "a b",
    "a#b",
    "a?b",
    "a\\b",
    "a/b",
    "a,b",
    "a%00",
    "[::1",
    "[:::]",
    "::1",
    "a\xe4",
  ])("refuses Host %j", (value) => refused(`GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`, 400));

  it.each([
    ["GET http://Real.example:81/p?q HTTP/1.1\r\nHost: other\r\n\r\n", "Real.example:81", "/p?q"],
    ["GET http://real HTTP/1.1\r\nHost: real\r\n\r\n", "real", "/"],
    ["GET http://real?q HTTP/1.1\r\nHost: real\r\n\r\n", "real", "/?q"],
    ["OPTIONS http://real HTTP/1.1\r\nHost: real\r\n\r\n", "real", "*"],
    ["OPTIONS * HTTP/1.1\r\nHost: real\r\n\r\n", "real", "*"],
    ["GET /p HTTP/1.1\r\nHost: TRAILING.dot.\r\n\r\n", "TRAILING.dot.", "/p"],
    ["GET /p HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "[::1]:80", "/p"],
    ["GET /p HTTP/1.1\r\nhOST:\t under_score.local:65535 \r\n\r\n", "under_score.local:65535", "/p"],
  ])("reads %j as one authority and one path, and forwards just that", async (bytes, authority, path) => {
    await using chain = await Chain.start(answerOk);
    const client = await chain.client();
    client.send(bytes);
    await client.until("ok");
    expect(chain.exchanges[0]).toMatchObject({ authority, path });
    expect(chain.upstream.allReceived).toBe(
      `${bytes.split(" ")[0]} ${path} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`,
    );
  });
});

describe("case 18: limits", () => {
  it("answers 414 to a request line of 100 KB", () =>
    refused(`GET /${"a".repeat(100_000)} HTTP/1.1\r\n${host}\r\n`, 414));

  it("answers 414 before the end of an endless line", () => refused(`GET /${"a".repeat(20_000)}`, 414));

  it.each([
    [
      "more than 60 KiB of headers",
      Array.from({ length: 70 }, (_, i) => `X-${i}: ${"a".repeat(1000)}\r\n`).join(""),
    ],
    ["101 headers", "X: a\r\n".repeat(101)],
    ["one header of 1 MB", `X: ${"a".repeat(1_000_000)}\r\n`],
  ])("answers 431 to %s", (_, headers) => refused(`${get}${headers}\r\n`, 431));

  it("takes 99 headers and a target of 16 KiB", async () => {
    await using chain = await Chain.start(answerOk);
    const client = await chain.client();
    client.send(`GET /${"a".repeat(16_383)} HTTP/1.1\r\n${host}${"X: a\r\n".repeat(99)}\r\n`);
    await client.until("ok");
  });
});

describe("case 19: the slow and the stuck", () => {
  it("answers 408 when the header section does not come to its end", async () => {
    await using chain = await Chain.start(answerOk, { settings: { headerTimeoutMs: 80 } });
    const client = await chain.client();
    for (const octet of "GET / HT") client.send(octet);
    expect(await client.untilClosed()).toMatch(/^HTTP\/1\.1 408 /);
    expect(chain.rejected[0]).toMatchObject({ status: 408, flags: "DT" });
  });

  it("answers 408 when the body stops coming, and cancels the upstream", async () => {
    await using chain = await Chain.start(() => {}, { settings: { idleTimeoutMs: 80 } });
    expect(await chain.converse(`${post}Content-Length: 10\r\n\r\nhel`)).toMatch(/^HTTP\/1\.1 408 /);
    expect(chain.exchanges[0]).toMatchObject({ status: 408, flags: "SI" });
    await chain.upstream.until(
      () => chain.upstream.sockets[0]!.readableEnded || chain.upstream.sockets[0]!.destroyed,
    );
  });

  it("answers 408 when the whole request takes too long although bytes come", async () => {
    await using chain = await Chain.start(() => {}, { settings: { requestTimeoutMs: 120 } });
    const client = await chain.client();
    client.send(`${post}Content-Length: 100000\r\n\r\n`);
    const drip = setInterval(() => client.send("x"), 10);
    expect(await client.untilClosed()).toMatch(/^HTTP\/1\.1 408 /);
    clearInterval(drip);
  });

  it("answers 504 when it is the upstream that is silent", async () => {
    await using chain = await Chain.start(() => {}, { settings: { idleTimeoutMs: 80 } });
    expect(await chain.converse(`${get}\r\n`)).toMatch(/^HTTP\/1\.1 504 /);
  });

  it("ends an idle connection without an answer", async () => {
    await using chain = await Chain.start(answerOk, { settings: { keepAliveTimeoutMs: 50 } });
    expect(await chain.converse("")).toBe("");
  });

  it("holds little of a 1 GB response that nobody reads, and gives up after the idle time-out", async () => {
    const piece = Buffer.alloc(64 * 1024, "x");
    let sent = 0;
    await using chain = await Chain.start(
      (_, socket) => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${2 ** 30}\r\n\r\n`);
        const pump = (): void => {
          while (!socket.destroyed && sent < 2 ** 30) {
            sent += piece.length;
            if (!socket.write(piece)) return void socket.once("drain", pump);
          }
        };
        pump();
      },
      { settings: { idleTimeoutMs: 400 } },
    );
    const client = await chain.client();
    client.socket.pause();
    const before = process.memoryUsage().arrayBuffers;
    client.send(`${get}\r\n`);
    await chain.upstream.until(() => chain.upstream.sockets[0]?.destroyed === true);
    // What the kernel buffers on four socket ends, not what the response is long.
    expect(sent).toBeLessThan(40 * 2 ** 20);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 2 ** 20);
    expect(chain.exchanges[0]).toMatchObject({ status: 200 });
    expect(chain.exchanges[0]!.finishedAt).toBeGreaterThan(0);
  });
});

describe("case 20: pipelines", () => {
  it("answers 10,000 requests of one packet in order, and other connections in between", async () => {
    const count = 10_000;
    let answered = 0;
    const service: Service = async (exchange) => {
      answered++;
      const bytes = Buffer.from(`<${exchange.path}>`);
      return { status: 200, reason: "", headers: new HeaderList(), body: Body.of(bytes) };
    };
    await using chain = await Chain.start(answerOk, { service });
    const [client, other] = [await chain.client(), await chain.client()];
    client.send(Array.from({ length: count }, (_, i) => `GET /${i} HTTP/1.1\r\n${host}\r\n`).join(""));
    await client.until("</0>");
    other.send(`GET /other HTTP/1.1\r\n${host}\r\n`);
    await other.until("</other>");
    expect(answered).toBeLessThan(count);
    const answer = await client.until(`</${count - 1}>`);
    const paths = Array.from(answer.matchAll(/<\/(\d+)>/g), (match) => Number(match[1]));
    expect(paths).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  it("keeps the order when each answer comes from upstream, and after FIN", async () => {
    const answer: Answer = (head, socket) => {
      const path = head.split(" ")[1]!;
      setImmediate(() => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`));
    };
    await using chain = await Chain.start(answer);
    const client = await chain.client();
    client.socket.end(Array.from({ length: 300 }, (_, i) => `GET /${i}. HTTP/1.1\r\n${host}\r\n`).join(""));
    const all = await client.untilClosed();
    const paths = Array.from(all.matchAll(/\n\/(\d+)\./g), (match) => Number(match[1]));
    expect(paths).toEqual(Array.from({ length: 300 }, (_, i) => i));
    expect(chain.upstream.sockets).toHaveLength(1);
    expect(chain.exchanges.every((exchange) => exchange.flags === "")).toBe(true);
  });
});

describe("case 21: expectations", () => {
  it("answers 417 to an expectation it does not know", () =>
    refused(`${post}Expect: magic\r\nContent-Length: 5\r\n\r\n`, 417));

  it("answers 408 when 100-continue is never followed by a body", async () => {
    await using chain = await Chain.start((_, socket) => socket.write("HTTP/1.1 100 Continue\r\n\r\n"), {
      settings: { idleTimeoutMs: 80 },
    });
    const answer = await chain.converse(`${post}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 408 /);
  });

  it("forwards the expectation and relays the interim answer", async () => {
    await using chain = await Chain.start((_, socket) => {
      socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    });
    const client = await chain.client();
    client.send(`${post}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`);
    await client.until("100 Continue\r\n\r\n");
    client.send("hello");
    await chain.upstream.until(() => chain.upstream.allReceived.endsWith("hello"));
    chain.upstream.sockets[0]!.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    expect(await client.until("ok")).toBe(
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    expect(chain.upstream.allReceived).toContain("Expect: 100-continue\r\n");
    expect(chain.exchanges[0]!.expectsContinue).toBe(true);
  });
});

describe("what is refused", () => {
  it("is told to the access log with method and target, when they can be made out", async () => {
    await using chain = await Chain.start(answerOk);
    await chain.converse("POST /pay?x HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n");
    await chain.converse("POST /pay HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    await chain.converse("\x16\x03\x01");
    expect(chain.rejected.map(({ method, path, detail }) => [method, path, detail])).toEqual([
      ["POST", "/pay?x", "http1.space_before_colon"],
      ["POST", "/pay", "http1.invalid_chunk_size"],
      ["", "", "http1.invalid_method"],
    ]);
  });
});

describe("other versions", () => {
  it("answers 426 to HTTP/1.0", async () => {
    await using chain = await Chain.start(answerOk);
    expect(await chain.converse("GET / HTTP/1.0\r\n\r\n")).toMatch(
      /^HTTP\/1\.1 426 Upgrade Required\r\n[\s\S]*Connection: close, Upgrade\r\nUpgrade: HTTP\/1\.1\r\n/,
    );
  });

  it.each([
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
    ["GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505],
    ["GET /\r\n", 400],
    ["GET / HTTP/1.11\r\n", 400],
    ["GET / http/1.1\r\nHost: a\r\n\r\n", 400],
    ["\x16\x03\x01\x02\x00\x01\x00", 400],
    ["FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["get / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ])("refuses %j", (bytes, status) => refused(bytes, status));
});
