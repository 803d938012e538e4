import { createHash } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { meshError } from "../../proxy/errors.ts";
import { Body } from "../../proxy/http/body.ts";
import { HeaderList } from "../../proxy/http/header-list.ts";
import type { Answer } from "./http1-chain.ts";
import { answerOk, Chain } from "./http1-chain.ts";

/** How connections live and end: real sockets, a scripted client and a scripted upstream. */

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const answer =
  (bytes: string): Answer =>
  (_, socket) =>
    void socket.write(Buffer.from(bytes, "latin1"));

describe("messages pass as they are", () => {
  it("keeps the case, order and repetition of header names both ways", async () => {
    await using chain = await Chain.start(
      answer("HTTP/1.1 200 Fine\r\nset-COOKIE: a\r\nSet-Cookie: b\r\nContent-length: 2\r\nX: \xe4\r\n\r\nok"),
    );
    const client = await chain.client();
    client.send("GET /x HTTP/1.1\r\nx-ONE: 1\r\nhost: A.b\r\nX-one: 2\r\nAccept:*/*\r\n\r\n");
    expect(await client.until("ok")).toBe(
      "HTTP/1.1 200 Fine\r\nset-COOKIE: a\r\nSet-Cookie: b\r\nContent-length: 2\r\nX: \xe4\r\n\r\nok",
    );
    expect(chain.upstream.allReceived).toBe(
      "GET /x HTTP/1.1\r\nHost: A.b\r\nx-ONE: 1\r\nX-one: 2\r\nAccept: */*\r\n\r\n",
    );
  });

  it("keeps trailers of chunked bodies both ways", async () => {
    await using chain = await Chain.start((head, socket) => {
      if (!head.startsWith("POST")) return;
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 9\r\n\r\n");
    });
    const client = await chain.client();
    client.send(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-In: 1\r\n\r\n",
    );
    expect(await client.until("X-Sum: 9\r\n\r\n")).toContain("\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 9\r\n\r\n");
    expect(chain.upstream.allReceived).toContain("\r\n\r\n3\r\nabc\r\n0\r\nX-In: 1\r\n\r\n");
    expect(chain.exchanges[0]).toMatchObject({ bytesReceived: 3, bytesSent: 2, status: 200, flags: "" });
  });

  it.each([
    ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"],
    ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: x\r\n\r\n"],
    ["GET", "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"],
    ["POST", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
  ])("passes on the bodiless answer to %s %j and keeps the connection", async (method, response) => {
    await using chain = await Chain.start(answer(response));
    const client = await chain.client();
    for (let round = 0; round < 3; round++) {
      client.received = "";
      client.send(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect(await client.until("\r\n\r\n")).toBe(response);
    }
    expect(chain.upstream.sockets).toHaveLength(1);
  });

  it("makes chunks of a body that ends with the upstream's connection, also of an HTTP/1.0 server", async () => {
    await using chain = await Chain.start((_, socket) => socket.end("HTTP/1.0 200 OK\r\nX: y\r\n\r\nhello"));
    const client = await chain.client();
    for (let round = 1; round <= 2; round++) {
      client.received = "";
      client.send(get);
      expect(await client.until("0\r\n\r\n")).toContain("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
      expect(chain.upstream.sockets).toHaveLength(round);
    }
  });

  it("takes everything in single bytes", async () => {
    await using chain = await Chain.start((_, socket) => {
      const bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\nA: b\r\n\r\n";
      let at = 0;
      const next = (): void => {
        if (at < bytes.length) socket.write(bytes[at++]!, () => setImmediate(next));
      };
      next();
    });
    const client = await chain.client();
    for (const octet of "\r\nPOST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc") {
      client.send(octet);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await client.until("A: b\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(chain.upstream.allReceived).toBe("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
  });

  it("carries 16 MB up and down at once, every byte in its place", async () => {
    const size = 16 * 2 ** 20;
    // Echoes what follows the head.
    const echo = createServer((socket) => {
      let isHead = true;
      socket.on("error", () => {});
      socket.on("data", (chunk: Buffer) => {
        const from = isHead ? chunk.indexOf("\r\n\r\n") + 4 : 0;
        if (isHead) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        isHead = false;
        if (!socket.write(chunk.subarray(from))) {
          socket.pause();
          socket.once("drain", () => socket.resume());
        }
      });
    }).listen(0, "127.0.0.1");
    await once(echo, "listening");
    const { port } = echo.address() as AddressInfo;
    await using chain = await Chain.start(answerOk, { upstreamPort: port });
    const { socket } = await chain.client();
    socket.removeAllListeners("data");
    const [sent, got] = [createHash("sha256"), createHash("sha256")];
    let received = 0;
    const done = new Promise<void>((resolve) => {
      let isHead = true;
      socket.on("data", (chunk: Buffer) => {
        const body = isHead ? chunk.subarray(chunk.indexOf("\r\n\r\n") + 4) : chunk;
        isHead = false;
        received += body.length;
        got.update(body);
        if (received === size) resolve();
      });
    });
    socket.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
    for (let at = 0; at < size; at += 2 ** 16) {
      const piece = Buffer.alloc(2 ** 16, `${at}.`);
      sent.update(piece);
      if (!socket.write(piece)) await once(socket, "drain");
    }
    await done;
    expect(got.digest("hex")).toBe(sent.digest("hex"));
    expect(chain.exchanges[0]).toMatchObject({ bytesReceived: size, status: 200 });
    echo.close();
  });

  it("holds little of an upload that the upstream does not read", async () => {
    await using chain = await Chain.start((_, socket) => void socket.pause());
    const { socket } = await chain.client();
    const before = process.memoryUsage().arrayBuffers;
    socket.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 ** 30}\r\n\r\n`);
    const piece = Buffer.alloc(2 ** 16, "y");
    let sent = 0;
    // Stuck for good when nothing drained for a while.
    for (let isStuck = false; !isStuck; sent += piece.length) {
      if (!socket.write(piece)) {
        isStuck = (await Promise.race([once(socket, "drain").then(() => false), delay(300, true)])) === true;
      }
    }
    expect(sent).toBeLessThan(40 * 2 ** 20);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 2 ** 20);
    expect(chain.exchanges[0]!.finishedAt).toBe(0);
  });
});

describe("the client's end", () => {
  it("answers a client that has sent FIN behind its request", async () => {
    await using chain = await Chain.start((_, socket) => void setTimeout(() => answerOk("", socket), 30));
    const client = await chain.client();
    client.socket.end(get);
    expect(await client.untilClosed()).toMatch(/Connection: close\r\n[\s\S]*ok$/);
    expect(chain.exchanges[0]).toMatchObject({ flags: "", status: 200 });
  });

  it("cancels the upstream when the client resets its connection", async () => {
    await using chain = await Chain.start(() => {});
    const client = await chain.client();
    client.send(get);
    await chain.upstream.until(() => chain.upstream.allReceived !== "");
    client.socket.resetAndDestroy();
    await chain.upstream.until(
      () => chain.upstream.sockets[0]!.readableEnded || chain.upstream.sockets[0]!.destroyed,
    );
    expect(chain.exchanges[0]).toMatchObject({ flags: "DC", status: 0, errorCode: "downstream_closed" });
    expect(chain.exchanges[0]!.cancelCause?.code).toBe("downstream_closed");
  });

  it("cancels the upstream when the request body breaks off", async () => {
    await using chain = await Chain.start(() => {});
    const client = await chain.client();
    client.socket.end("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    await chain.upstream.until(
      () =>
        chain.upstream.sockets[0]?.readableEnded === true || chain.upstream.sockets[0]?.destroyed === true,
    );
    expect(chain.exchanges[0]).toMatchObject({ flags: "DC" });
  });

  it("cancels the upstream when the client goes away in the middle of an answer", async () => {
    await using chain = await Chain.start(answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"));
    const client = await chain.client();
    client.send(get);
    await client.until("half");
    client.socket.resetAndDestroy();
    await chain.upstream.until(
      () => chain.upstream.sockets[0]!.readableEnded || chain.upstream.sockets[0]!.destroyed,
    );
    expect(chain.exchanges[0]).toMatchObject({ flags: "DC", status: 200, bytesSent: 4 });
  });

  it("honours Connection: close", async () => {
    await using chain = await Chain.start(answerOk);
    expect(await chain.converse("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n")).toContain(
      "Connection: close\r\n",
    );
  });
});

describe("the upstream's end", () => {
  it("answers 503 when the upstream closes a new connection without an answer", async () => {
    await using chain = await Chain.start((_, socket) => socket.destroy());
    const client = await chain.client();
    client.send(get);
    expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 503 /);
    expect(chain.exchanges[0]).toMatchObject({ flags: "UC", errorCode: "upstream_reset" });
  });

  it.each([
    ["GET", "reset_before_request"],
    ["POST", "upstream_reset"],
  ])("calls a reset of a reused connection %s → %s", async (method, code) => {
    let round = 0;
    await using chain = await Chain.start((head, socket) =>
      round++ === 0 ? answerOk(head, socket) : socket.destroy(),
    );
    const client = await chain.client();
    client.send(get);
    await client.until("ok");
    client.received = "";
    client.send(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 503 /);
    expect(chain.exchanges[1]).toMatchObject({ errorCode: code });
  });

  it("lets the client see that a body was cut off", async () => {
    await using chain = await Chain.start((_, socket) =>
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
    );
    expect(await chain.converse(get)).toMatch(/half$/);
    expect(chain.exchanges[0]).toMatchObject({ flags: "UC", status: 200 });
  });

  it("takes an early answer, stops sending the request, and closes", async () => {
    await using chain = await Chain.start(answer("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!"));
    const client = await chain.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin");
    expect(await client.untilClosed()).toMatch(
      /^HTTP\/1\.1 413 Too Large\r\n[\s\S]*Connection: close[\s\S]*no!$/,
    );
  });

  it("does not reuse a connection in the last second of the server's Keep-Alive", async () => {
    await using chain = await Chain.start(
      answer("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1, max=5\r\nContent-Length: 2\r\n\r\nok"),
    );
    const client = await chain.client();
    for (let round = 1; round <= 2; round++) {
      client.received = "";
      client.send(get);
      expect(await client.until("ok")).not.toContain("Keep-Alive");
      expect(chain.upstream.sockets).toHaveLength(round);
    }
  });
});

describe("the proxy's end", () => {
  it("answers the request under way with Connection: close when it drains", async () => {
    await using chain = await Chain.start(() => {});
    const client = await chain.client();
    client.send(get);
    await chain.upstream.until(() => chain.upstream.allReceived !== "");
    expect(chain.connections[0]!.activeExchanges).toBe(1);
    chain.connections[0]!.drain();
    answerOk("", chain.upstream.sockets[0]!);
    expect(await client.untilClosed()).toMatch(/Connection: close\r\n[\s\S]*ok$/);
  });

  it("ends an idle connection at once when it drains, and reports its close", async () => {
    await using chain = await Chain.start(answerOk);
    const client = await chain.client();
    client.send(get);
    await client.until("ok");
    const closed = new Promise<void>((resolve) => {
      chain.connections[0]!.onClose = resolve;
    });
    chain.connections[0]!.drain();
    await client.untilClosed();
    await closed;
    expect(chain.connections[0]!.activeExchanges).toBe(0);
  });

  it("turns an error of the service into its reply and keeps the connection", async () => {
    await using chain = await Chain.start(answerOk, {
      service: () => Promise.reject(meshError("no_route", "route_not_found")),
    });
    const client = await chain.client();
    for (let round = 0; round < 2; round++) {
      client.received = "";
      client.send(get);
      expect(await client.until("route_not_found\n")).toMatch(
        /^HTTP\/1\.1 404 Not Found\r\ncontent-type: text\/plain\r\n/,
      );
    }
    expect(chain.exchanges[0]).toMatchObject({ flags: "NR", detail: "route_not_found", status: 404 });
  });

  it("turns a bug of the service into 500", async () => {
    await using chain = await Chain.start(answerOk, {
      service: () => {
        throw new TypeError("a bug");
      },
    });
    const client = await chain.client();
    client.send(get);
    expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 500 /);
  });

  it("breaks the answer off when its exchange is cancelled after the head", async () => {
    await using chain = await Chain.start(answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
    const client = await chain.client();
    client.send(get);
    await client.until("half");
    chain.exchanges[0]!.cancel(meshError("request_timeout", "response_timeout"));
    expect(await client.untilClosed()).toMatch(/half$/);
    expect(chain.exchanges[0]).toMatchObject({ flags: "UT", status: 200 });
    await chain.upstream.until(
      () => chain.upstream.sockets[0]!.readableEnded || chain.upstream.sockets[0]!.destroyed,
    );
  });

  it("replies to a cancelled exchange that has no head yet", async () => {
    await using chain = await Chain.start(() => {});
    const client = await chain.client();
    client.send(get);
    await chain.upstream.until(() => chain.upstream.allReceived !== "");
    chain.exchanges[0]!.cancel(meshError("request_timeout", "response_timeout"));
    expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 504 /);
  });

  it("writes no body that is longer or shorter than it was declared", async () => {
    for (const [length, bytes] of [
      [3, "four"],
      [5, "four"],
    ] as const) {
      await using chain = await Chain.start(answerOk, {
        service: async () => {
          const body = new Body(length);
          body.push(Buffer.from(bytes));
          body.end();
          return {
            status: 200,
            reason: "",
            headers: new HeaderList(["Transfer-Encoding", "x", "Content-Length", "99"]),
            body,
          };
        },
      });
      const client = await chain.client();
      client.send(get);
      expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 500 /);
    }
  });
});
