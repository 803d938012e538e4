import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { plainExchange } from "../../test/support/exchange.ts";
import { meshError } from "../errors.ts";
import type { Response } from "../http/exchange.ts";
import { connectHttp1 } from "../http/http1/client.ts";
import type { PoolSettings } from "./pool.ts";
import { defaultPoolSettings, Pool } from "./pool.ts";

/** The pool with the real codec on real sockets, against servers that behave badly. */

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

describe("Pool on sockets", () => {
  it("sends many requests over few connections", async () => {
    const server = await startServer((socket) => socket.on("data", () => socket.write(okResponse)));
    const pool = newPool(server.port, { maxConnections: 3 });
    const sent = Array.from({ length: 50 }, () => exchangeOnce(pool));
    expect(await Promise.all(sent)).toEqual(Array.from({ length: 50 }, () => "200 ok"));
    expect(pool.opened).toBe(3);
    expect([pool.active, pool.idle]).toEqual([0, 3]);
  });

  it("forgets a connection that the server closed while it was idle, and opens another", async () => {
    const server = await startServer((socket) => socket.on("data", () => socket.write(okResponse)));
    const pool = newPool(server.port);
    await exchangeOnce(pool);
    for (const socket of server.sockets) socket.end();
    await until(() => pool.open === 0);
    expect(await exchangeOnce(pool)).toBe("200 ok");
    expect(pool.opened).toBe(2);
  });

  it("says that an idempotent request may be sent again when the server closed just as it was sent", async () => {
    const server = await startServer((socket) => {
      let requests = 0;
      socket.on("data", () => (++requests === 1 ? socket.write(okResponse) : socket.destroy()));
    });
    const pool = newPool(server.port);
    await exchangeOnce(pool);
    await expect(exchangeOnce(pool)).rejects.toMatchObject({ code: "reset_before_request" });
    expect([pool.active, pool.open]).toEqual([0, 0]);
    expect(await exchangeOnce(pool)).toBe("200 ok");
  });

  it("says connect_refused when nobody listens", async () => {
    const server = await startServer(() => {});
    server.stop();
    const pool = newPool(server.port);
    await expect(exchangeOnce(pool)).rejects.toMatchObject({
      code: "connect_refused",
      entry: { flag: "UF" },
    });
    expect([pool.active, pool.connectFailures]).toEqual([0, 1]);
  });

  it("says connect_timeout when nobody answers", async () => {
    // 192.0.2.0/24 is for documentation (RFC 5737); where it is refused at once, there is nothing to wait for.
    const pool = newPool(9, {}, "192.0.2.1", 50);
    await expect(exchangeOnce(pool)).rejects.toMatchObject({ entry: { flag: "UF" } });
    expect(pool.active).toBe(0);
  });

  it("frees the endpoint when a request is cancelled while the server thinks", async () => {
    const server = await startServer(() => {});
    const pool = newPool(server.port);
    const exchange = plainExchange();
    const sent = pool.send(exchange);
    await until(() => server.sockets.size === 1 && pool.open === 1);
    exchange.cancel(meshError("request_timeout"));
    await expect(sent).rejects.toMatchObject({ code: "request_timeout" });
    expect([pool.active, pool.open]).toEqual([0, 0]);
  });

  it("keeps counting until the body has ended", async () => {
    let finish = () => {};
    const server = await startServer((socket) =>
      socket.on("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
        finish = () => socket.write("cd");
      }),
    );
    const pool = newPool(server.port);
    const response = await pool.send(plainExchange());
    const text = textOf(response);
    expect(pool.active).toBe(1);
    finish();
    expect(await text).toBe("abcd");
    expect([pool.active, pool.idle]).toEqual([0, 1]);
  });
});

const okResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async function exchangeOnce(pool: Pool): Promise<string> {
  const response = await pool.send(plainExchange());
  return `${response.status} ${await textOf(response)}`;
}

function textOf({ body }: Response): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    body.pipe({
      data: (chunk) => {
        text += chunk.toString();
        return true;
      },
      end: () => resolve(text),
      fail: reject,
    });
  });
}

function newPool(
  port: number,
  settings: Partial<PoolSettings> = {},
  host = "127.0.0.1",
  timeoutMs = 5_000,
): Pool {
  const pool = new Pool({
    connect: () => connectHttp1({ host, port, timeoutMs }, systemClock),
    settings: { ...defaultPoolSettings, ...settings },
    clock: systemClock,
  });
  stops.push(() => pool.stop());
  return pool;
}

async function startServer(accept: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => {});
    accept(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  stops.push(stop);
  return { port: (server.address() as AddressInfo).port, sockets, stop };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
