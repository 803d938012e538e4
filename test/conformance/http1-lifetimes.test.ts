import { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { Body } from "../../proxy/http/body.ts";
import { HeaderList } from "../../proxy/http/header-list.ts";
import { defaultHttpServerSettings } from "../../proxy/http/http-server.ts";
import { clientHttp1 } from "../../proxy/http/http1/client.ts";
import { plainExchange } from "../support/exchange.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";
import { answerOk, Chain } from "./http1-chain.ts";

/** What may be ended when, and what must not be. */

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

describe("an upstream connection at work", () => {
  it("lives as long as its request takes, whatever the server promised for idle ones", async () => {
    const clock = new FakeClock();
    await using chain = await Chain.start(
      (head, socket) => {
        if (head.startsWith("GET /slow")) return;
        socket.write("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok");
      },
      { clock },
    );
    const client = await chain.client();
    client.send(get);
    await client.until("ok");
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    await chain.upstream.until(() => chain.upstream.allReceived.includes("/slow"));
    await clock.advance(30_000);
    expect(chain.upstream.sockets).toHaveLength(1);
    chain.upstream.sockets[0]!.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
    expect(await client.until("slow")).not.toContain("503");
  });

  it("lives as long as its tunnel", async () => {
    const clock = new FakeClock();
    await using chain = await Chain.start(
      (head, socket) => {
        if (!head.startsWith("GET")) return;
        socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
      },
      { clock, settings: { idleTimeoutMs: 0 } },
    );
    const client = await chain.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    await client.until("101");
    await clock.advance(3 * 3_600_000);
    chain.upstream.sockets[0]!.write("still here");
    await client.until("still here");
  });

  it("has no capacity when its socket was gone before it began", async () => {
    const clock = new FakeClock();
    const socket = new Socket();
    socket.destroy();
    const connection = clientHttp1(socket, clock);
    expect(connection.capacity).toBe(0);
    await expect(connection.send(plainExchange())).rejects.toMatchObject({ code: "reset_before_request" });
    expect(clock.pendingTimers).toBe(0);
  });

  it("ends with its tunnel once no byte moves in it, whichever way they went", async () => {
    const clock = new FakeClock();
    await using chain = await Chain.start(
      (_, socket) => {
        if (chain.upstream.allReceived.includes("GET"))
          socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
      },
      { clock, settings: { idleTimeoutMs: 10_000 } },
    );
    const client = await chain.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    await client.until("101");
    for (let round = 0; round < 3; round++) {
      await clock.advance(8_000);
      client.send(`up${round}`);
      await chain.upstream.until(() => chain.upstream.allReceived.includes(`up${round}`));
      await clock.advance(8_000);
      chain.upstream.sockets[0]!.write(`down${round}`);
      await client.until(`down${round}`);
    }
    await clock.advance(10_001);
    await client.untilClosed();
    await chain.upstream.until(() => chain.upstream.sockets[0]!.readableEnded);
    expect(chain.exchanges[0]).toMatchObject({ status: 101, flags: "SI" });
  });

  it("ends after its time once it is idle again", async () => {
    const clock = new FakeClock();
    await using chain = await Chain.start(
      (_, socket) => {
        socket.write("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok");
      },
      { clock },
    );
    const client = await chain.client();
    client.send(get);
    await client.until("ok");
    await clock.advance(3_900);
    expect(chain.upstream.sockets[0]!.readableEnded).toBe(false);
    await clock.advance(200);
    await chain.upstream.until(() => chain.upstream.sockets[0]!.readableEnded);
  });
});

describe("a client that reads slowly", () => {
  it("gets all of an answer behind which we close", async () => {
    const clock = new FakeClock();
    const bytes = Buffer.alloc(32 * 1024 * 1024, "0123456789abcde");
    await using chain = await Chain.start(answerOk, { clock, service: async () => reply(bytes) });
    const client = await chain.client();
    client.socket.pause();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    while (chain.exchanges[0] === undefined || chain.exchanges[0].finishedAt === 0) await later(clock);
    await clock.advance(60_000);
    client.socket.resume();
    const answer = await client.untilClosed();
    expect(answer.length).toBe(answer.indexOf("\r\n\r\n") + 4 + bytes.length);
  });

  it("is given up when it stops reading for longer than the idle time-out", async () => {
    const clock = new FakeClock();
    const bytes = Buffer.alloc(32 * 1024 * 1024);
    await using chain = await Chain.start(answerOk, { clock, service: async () => reply(bytes) });
    const client = await chain.client();
    client.socket.pause();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    while (chain.exchanges[0] === undefined || chain.exchanges[0].finishedAt === 0) await later(clock);
    const closed = new Promise<void>((resolve) => {
      chain.connections[0]!.onClose = resolve;
    });
    await clock.advance(defaultHttpServerSettings.idleTimeoutMs - 1_000);
    expect(clock.pendingTimers).toBeGreaterThan(0);
    await clock.advance(2_000);
    await closed;
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("a client that reads only once it has sent everything", () => {
  it("still gets an early answer, however long its upload takes", async () => {
    const clock = new FakeClock();
    const { chain, client } = await refusedUpload(clock);
    for (let sent = 0; sent < 10; sent++) {
      await clock.advance(800);
      client.send(Buffer.alloc(1_000));
      await settle();
    }
    expect(isOver(chain)).toBe(false);
    client.socket.resume();
    expect(await client.untilClosed()).toMatch(/no!$/);
    await chain[Symbol.asyncDispose]();
  });

  it("does not get for ever", async () => {
    const clock = new FakeClock();
    const { chain, client } = await refusedUpload(clock);
    let waitedMs = 0;
    for (; waitedMs < 60_000 && !isOver(chain); waitedMs += 500) {
      client.send(Buffer.alloc(100));
      await clock.advance(500);
    }
    expect(waitedMs).toBeGreaterThan(25_000);
    expect(waitedMs).toBeLessThan(40_000);
    await chain[Symbol.asyncDispose]();
  });
});

describe("drain", () => {
  it("lets the client of an answer that did not say so send one more request", async () => {
    const clock = new FakeClock();
    await using chain = await Chain.start(
      (head, socket) => {
        if (head.startsWith("GET /long")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlo");
        else answerOk(head, socket);
      },
      { clock },
    );
    const client = await chain.client();
    client.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(await client.until("lo")).not.toContain("close");
    chain.connections[0]!.drain();
    chain.upstream.sockets[0]!.write("ng");
    await client.until("long");
    client.send(get);
    expect(await client.untilClosed()).toMatch(/Connection: close\r\n[\s\S]*ok$/);
  });

  it("waits for that request no longer than a moment", async () => {
    const clock = new FakeClock();
    await using chain = await Chain.start(
      (_, socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlo"),
      { clock },
    );
    const client = await chain.client();
    client.send(get);
    await client.until("lo");
    chain.connections[0]!.drain();
    chain.upstream.sockets[0]!.write("ng");
    await client.until("long");
    while (chain.connections[0]!.activeExchanges > 0) await settle();
    await clock.advance(1_000);
    expect(await client.untilClosed()).toMatch(/long$/);
  });
});

function reply(bytes: Buffer) {
  return { status: 200, reason: "", headers: new HeaderList(), body: Body.of(bytes) };
}

/** An upload that was answered with 413 before it was through, by a client that does not look. */
async function refusedUpload(clock: FakeClock) {
  const chain = await Chain.start(
    (_, socket) => void socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!"),
    { clock },
  );
  const client = await chain.client();
  client.socket.pause();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin");
  while (chain.exchanges[0] === undefined || chain.exchanges[0].finishedAt === 0) await later(clock);
  const onClose = chain.connections[0]!.onClose;
  chain.connections[0]!.onClose = () => {
    over.add(chain);
    onClose?.();
  };
  return { chain, client };
}

const over = new WeakSet<Chain>();
const isOver = (chain: Chain) => over.has(chain);

/** Time must pass for an exchange to end later than never, which is 0. */
const later = (clock: FakeClock) => clock.advance(1);
