import { describe, expect, it } from "vitest";
import { plainExchange } from "../../test/support/exchange.ts";
import { FakeClock, settle } from "../../test/support/fake-clock.ts";
import { MeshError, meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import type { ClientConnection } from "../http/client-connection.ts";
import type { Response } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import type { PoolSettings } from "./pool.ts";
import { Pool } from "./pool.ts";

/** Behaviour that does not hang on sockets; `pool-sockets.test.ts` has the rest. */
describe("Pool", () => {
  it("opens on demand and reuses what is idle, the last used first", async () => {
    const { pool, opened } = newPool();
    const sent = [send(pool), send(pool)];
    opened[0]!.succeed();
    opened[1]!.succeed();
    await settle();
    opened[0]!.connection.finish();
    opened[1]!.connection.finish();
    await Promise.all(sent);
    expect(pool.idle).toBe(2);
    send(pool);
    expect(opened).toHaveLength(2);
    expect(opened[1]!.connection.sent).toBe(2);
  });

  it("gives a freed connection to the request that has waited longest", async () => {
    const { pool, opened } = newPool({ maxConnections: 1 });
    const order: string[] = [];
    const waiting = ["a", "b", "c"].map((name) => send(pool).then(() => order.push(name)));
    opened[0]!.succeed();
    await settle();
    expect(pool.waiting).toBe(2);
    for (let i = 0; i < 3; i++) {
      opened[0]!.connection.finish();
      await settle();
    }
    await Promise.all(waiting);
    expect(order).toEqual(["a", "b", "c"]);
    expect(opened).toHaveLength(1);
  });

  it("counts a request as active from the moment it waits until its connection is free", async () => {
    const { pool, opened } = newPool();
    const sent = send(pool);
    expect(pool.active).toBe(1);
    opened[0]!.succeed();
    await settle();
    opened[0]!.connection.answer();
    await sent;
    expect(pool.active).toBe(1);
    opened[0]!.connection.free();
    expect(pool.active).toBe(0);
  });

  it("refuses more waiting requests than its bound", async () => {
    const { pool } = newPool({ maxConnections: 1, maxPending: 2 });
    void send(pool).catch(ignore);
    void send(pool).catch(ignore);
    await expect(send(pool)).rejects.toMatchObject({ code: "upstream_overflow" });
    expect(pool.active).toBe(2);
  });

  it("keeps the connection when the request is cancelled before it is ready", async () => {
    const { pool, opened } = newPool();
    const exchange = plainExchange();
    const sent = pool.send(exchange);
    exchange.cancel(meshError("downstream_closed"));
    await expect(sent).rejects.toMatchObject({ code: "downstream_closed" });
    expect([pool.active, pool.waiting]).toEqual([0, 0]);
    opened[0]!.succeed();
    await settle();
    expect(pool.idle).toBe(1);
    expect(opened[0]!.connection.sent).toBe(0);
  });

  it("does not send an attempt that was interrupted while it waited", async () => {
    const { pool, opened } = newPool();
    const exchange = plainExchange();
    const sent = pool.send(exchange);
    exchange.interrupt(meshError("per_try_timeout"));
    await expect(sent).rejects.toMatchObject({ code: "per_try_timeout" });
    opened[0]!.succeed();
    await settle();
    expect(opened[0]!.connection.sent).toBe(0);
  });

  it("fails a request that was cancelled before it came, without leaving it in the queue", async () => {
    const { pool } = newPool();
    const exchange = plainExchange();
    exchange.cancel(meshError("request_timeout"));
    await expect(pool.send(exchange)).rejects.toMatchObject({ code: "request_timeout" });
    expect([pool.active, pool.waiting]).toEqual([0, 0]);
  });

  it("fails all waiting requests when its only way to a connection failed", async () => {
    const { pool, opened } = newPool({ maxConnections: 1 });
    const sent = [send(pool), send(pool), send(pool)].map((one) =>
      one.catch((error: MeshError) => error.code),
    );
    opened[0]!.fail(meshError("connect_timeout"));
    expect(await Promise.all(sent)).toEqual(["connect_timeout", "connect_timeout", "connect_timeout"]);
    expect(opened).toHaveLength(1);
  });

  it("fails one request for one failure while others may still succeed", async () => {
    const { pool, opened } = newPool();
    const sent = [send(pool), send(pool)];
    opened[0]!.fail(meshError("connect_refused"));
    await expect(sent[0]).rejects.toMatchObject({ code: "connect_refused" });
    opened[1]!.succeed();
    await settle();
    opened[1]!.connection.finish();
    await expect(sent[1]).resolves.toMatchObject({ status: 200 });
  });

  it("never hands out a connection whose codec says that it is dead", async () => {
    const { pool, opened } = newPool();
    const first = send(pool);
    opened[0]!.succeed();
    await settle();
    opened[0]!.connection.finish();
    await first;
    opened[0]!.connection.capacity = 0;
    const second = send(pool);
    expect(opened).toHaveLength(2);
    opened[1]!.succeed();
    await settle();
    opened[1]!.connection.finish();
    await second;
    expect([pool.open, pool.active, pool.idle]).toEqual([1, 0, 1]);
  });

  it("takes a connection back whose codec refused to write the request", async () => {
    const { pool, opened } = newPool();
    const first = send(pool);
    opened[0]!.connection.refusal = meshError("internal", "bad_header");
    opened[0]!.succeed();
    await expect(first).rejects.toMatchObject({ code: "internal" });
    expect([pool.active, pool.idle, pool.open]).toEqual([0, 1, 1]);
  });

  it("forgets an idle connection that closes, and one that closes at work", async () => {
    const { pool, opened } = newPool();
    void send(pool).catch(ignore);
    void send(pool).catch(ignore);
    opened[0]!.succeed();
    opened[1]!.succeed();
    await settle();
    opened[0]!.connection.finish();
    await settle();
    expect([pool.open, pool.idle, pool.active]).toEqual([2, 1, 1]);
    opened[0]!.connection.die();
    opened[1]!.connection.die();
    expect([pool.open, pool.idle, pool.active]).toEqual([0, 0, 0]);
  });

  it("opens a new connection for waiting requests when one at work closes", async () => {
    const { pool, opened } = newPool({ maxConnections: 1 });
    void send(pool).catch(ignore);
    const second = send(pool);
    opened[0]!.succeed();
    await settle();
    opened[0]!.connection.die();
    expect(opened).toHaveLength(2);
    opened[1]!.succeed();
    await settle();
    opened[1]!.connection.finish();
    await expect(second).resolves.toMatchObject({ status: 200 });
  });

  // covers DestinationRule trafficPolicy.connectionPool.http.idleTimeout
  it("closes connections that nobody used for its idle time, and only those", async () => {
    const { pool, opened, clock } = newPool({ idleTimeoutMs: 4_000 });
    const sent = [send(pool), send(pool), send(pool)];
    for (const one of opened) one.succeed();
    await settle();
    for (const one of opened) one.connection.finish();
    await Promise.all(sent);
    await clock.advance(2_000);
    const again = send(pool);
    opened[2]!.connection.finish();
    await again;
    await clock.advance(2_000);
    expect(opened.map(({ connection }) => connection.isClosed)).toEqual([true, true, false]);
    expect([pool.open, pool.idle]).toEqual([1, 1]);
    await clock.advance(2_000);
    expect(pool.open).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it("lets requests at work and waiting finish when its endpoint goes, then closes", async () => {
    const { pool, opened, clock } = newPool({ maxConnections: 2 });
    const idle = send(pool);
    const busy = send(pool);
    const waiting = send(pool);
    opened[0]!.succeed();
    opened[1]!.succeed();
    await settle();
    opened[0]!.connection.finish();
    await idle;
    pool.drain();
    opened[0]!.connection.finish();
    opened[1]!.connection.finish();
    await Promise.all([busy, waiting]);
    expect(opened.map(({ connection }) => connection.isClosed)).toEqual([true, true]);
    expect([pool.open, pool.active]).toEqual([0, 0]);
    expect(clock.pendingTimers).toBe(0);
  });

  it("stops at once: waiting requests fail, connections at work are destroyed, late ones too", async () => {
    const { pool, opened } = newPool();
    void send(pool).catch(ignore);
    opened[0]!.succeed();
    await settle();
    const waiting = send(pool);
    pool.stop();
    await expect(waiting).rejects.toBeInstanceOf(MeshError);
    opened[1]!.succeed();
    await settle();
    expect(opened.map(({ connection }) => connection.isClosed)).toEqual([true, true]);
    expect([pool.open, pool.active]).toEqual([0, 0]);
  });
});

function newPool(settings: Partial<PoolSettings> = {}) {
  const clock = new FakeClock();
  const opened: Opening[] = [];
  const pool = new Pool({
    connect: () => {
      const opening = new Opening();
      opened.push(opening);
      return opening.promise;
    },
    settings: { maxConnections: 10, maxPending: 10, idleTimeoutMs: 4_000, ...settings },
    clock,
  });
  return { pool, opened, clock };
}

function send(pool: Pool): Promise<Response> {
  return pool.send(plainExchange());
}

class Opening {
  readonly connection = new FakeConnection();
  readonly #settlers = Promise.withResolvers<ClientConnection>();
  readonly promise = this.#settlers.promise;
  succeed = () => this.#settlers.resolve(this.connection);
  fail = (cause: Error) => this.#settlers.reject(cause);
}

/** A connection whose exchanges end when the test says so. */
class FakeConnection implements ClientConnection {
  capacity = 1;
  isReused = false;
  readonly isMultiplexed = false;
  onEnded: (() => void) | undefined = undefined;
  readonly localAddress = "127.0.0.1:1";
  onAvailable: (() => void) | undefined = undefined;
  onClose: (() => void) | undefined = undefined;
  sent = 0;
  isClosed = false;
  refusal: MeshError | undefined = undefined;
  #resolve: (response: Response) => void = ignore;

  send(): Promise<Response> {
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    this.sent++;
    this.capacity = 0;
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  answer(): void {
    this.#resolve({ status: 200, reason: "", headers: new HeaderList(), body: Body.empty() });
  }

  free(): void {
    this.capacity = 1;
    this.isReused = true;
    this.onAvailable?.();
  }

  finish(): void {
    this.answer();
    this.free();
  }

  die(): void {
    this.capacity = 0;
    this.isClosed = true;
    this.onClose?.();
  }

  close(): void {
    this.die();
  }

  destroy(): void {
    this.die();
  }
}

function ignore(): void {}
