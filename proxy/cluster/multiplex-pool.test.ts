import { describe, expect, it } from "vitest";
import { plainExchange } from "../../test/support/exchange.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import type { ClientConnection } from "../http/client-connection.ts";
import type { Response } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import { ClusterLoad } from "./load.ts";
import { MultiplexPool } from "./multiplex-pool.ts";
import { defaultPoolSettings } from "./pool.ts";

/** A connection whose exchanges end when the test says so. */
class FakeConnection implements ClientConnection {
  readonly isReused = false;
  readonly localAddress = "";
  readonly isMultiplexed: boolean;
  onAvailable: (() => void) | undefined = undefined;
  onEnded: (() => void) | undefined = undefined;
  onClose: (() => void) | undefined = undefined;
  active = 0;
  sent = 0;
  most: number;
  isClosing = false;
  isClosed = false;

  constructor(most: number, isMultiplexed = true) {
    this.most = most;
    this.isMultiplexed = isMultiplexed;
  }

  get capacity(): number {
    return this.isClosing ? 0 : Math.max(0, this.most - this.active);
  }

  async send(): Promise<Response> {
    this.active++;
    this.sent++;
    return { status: 200, reason: "", headers: new HeaderList(), body: Body.empty() };
  }

  end(): void {
    this.active--;
    this.onEnded?.();
    if (!this.isClosing) this.onAvailable?.();
    else if (this.active === 0) this.destroy();
  }

  close(): void {
    this.isClosing = true;
    if (this.active === 0) this.destroy();
  }

  destroy(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.isClosing = true;
    this.onClose?.();
  }
}

function start(most = 100, limits: ClusterLoad["limits"] = {}) {
  const clock = new FakeClock();
  const load = new ClusterLoad();
  load.limits = limits;
  const connections: FakeConnection[] = [];
  const state = { error: undefined as Error | undefined, isMultiplexed: true };
  const pool = new MultiplexPool({
    clock,
    load,
    settings: defaultPoolSettings,
    connect: async () => {
      if (state.error !== undefined) throw state.error;
      const connection = new FakeConnection(state.isMultiplexed ? most : 1, state.isMultiplexed);
      connections.push(connection);
      return connection;
    },
  });
  const send = (count = 1) =>
    Promise.allSettled(Array.from({ length: count }, () => pool.send(plainExchange())));
  return { pool, load, clock, connections, state, send };
}

describe("a pool of connections that carry many exchanges", () => {
  it("opens as few as have room, and counts what is under way", async () => {
    const { pool, load, connections, send } = start(10);
    await send(10);
    expect([connections.length, pool.active, load.requests, pool.open]).toEqual([1, 10, 10, 1]);
    const more = send(5);
    expect(pool.waiting).toBe(5);
    await more;
    expect([connections.length, pool.active]).toEqual([2, 15]);
    connections[0]!.end();
    await send(1);
    expect(connections.map(({ sent }) => sent)).toEqual([11, 5]);
    for (const connection of connections) while (connection.active > 0) connection.end();
    expect([pool.active, load.requests, pool.idle, load.pending]).toEqual([0, 0, 2, 0]);
  });

  it("gives what waits to whoever has room first", async () => {
    const { connections, send, load } = start(1, { maxConnections: 1 });
    await send(1);
    const waiting = send(2);
    expect(load.pending).toBe(2);
    connections[0]!.end();
    connections[0]!.end();
    expect((await waiting).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
    expect([connections.length, connections[0]!.sent, load.pending]).toEqual([1, 3, 0]);
  });

  it("keeps the limits of its cluster", async () => {
    const { connections, send, pool } = start(100, {
      maxRequests: 5,
      maxConcurrentStreams: 2,
      maxRequestsPerConnection: 3,
    });
    await send(5);
    expect(connections.map(({ sent }) => sent)).toEqual([2, 2, 1]);
    const [refused] = await send(1);
    expect(refused).toMatchObject({
      status: "rejected",
      reason: { code: "upstream_overflow", detail: "max_requests" },
    });
    connections[0]!.end();
    await send(1);
    expect(connections[0]!.isClosing).toBe(true);
    expect(pool.active).toBe(5);
  });

  it("forgets a connection that is lost with all that it carried", async () => {
    const { connections, send, pool, load } = start(10);
    await send(4);
    connections[0]!.destroy();
    expect([pool.active, pool.open, load.requests, load.connections]).toEqual([0, 0, 0, 0]);
    await send(1);
    expect([connections.length, pool.active]).toEqual([2, 1]);
  });

  it("answers all that wait when nobody can be reached, and takes a request that is given up out of the queue", async () => {
    const { send, pool, state, load } = start(10);
    state.error = meshError("connect_refused", "connection_refused");
    const results = await send(3);
    expect(results.map((result) => result.status === "rejected" && result.reason.code)).toEqual(
      Array(3).fill("connect_refused"),
    );
    expect([pool.active, pool.waiting, load.connections, pool.connectFailures]).toEqual([0, 0, 0, 1]);
    const exchange = plainExchange();
    const given = pool.send(exchange);
    exchange.cancel(meshError("request_timeout"));
    await expect(given).rejects.toMatchObject({ code: "request_timeout" });
    expect([pool.active, pool.waiting]).toEqual([0, 0]);
  });

  it("closes what nobody uses for long, and drains without losing what is under way", async () => {
    const { connections, send, clock, pool } = start(10, { idleTimeoutMs: 1_000 });
    await send(1);
    await clock.advance(5_000);
    expect(connections[0]!.isClosing).toBe(false);
    connections[0]!.end();
    await clock.advance(5_000);
    expect(connections[0]!.isClosed).toBe(true);
    await send(2);
    pool.drain();
    expect(connections[1]!.isClosed).toBe(false);
    connections[1]!.end();
    connections[1]!.end();
    expect(connections[1]!.isClosed).toBe(true);
    expect(pool.active).toBe(0);
  });

  it("does without, one exchange at a time, when the server knows HTTP/1.1 only", async () => {
    const { connections, send, pool, state } = start(10);
    state.isMultiplexed = false;
    await send(3);
    expect([connections.length, pool.active]).toEqual([3, 3]);
    expect(connections.map(({ sent }) => sent)).toEqual([1, 1, 1]);
  });

  it("opens another for the next request when nobody waits for the one that knows HTTP/1.1 only", async () => {
    const { connections, send, pool, state, load } = start(10);
    state.isMultiplexed = false;
    const exchange = plainExchange();
    const given = pool.send(exchange);
    exchange.cancel(meshError("request_timeout"));
    await expect(given).rejects.toMatchObject({ code: "request_timeout" });
    expect([connections[0]!.isClosed, pool.active, load.connections]).toEqual([true, 0, 0]);
    const [answered] = await send(1);
    expect(answered).toMatchObject({ status: "fulfilled", value: { status: 200 } });
    expect([connections.map(({ sent }) => sent), pool.connectFailures]).toEqual([[0, 1], 0]);
  });

  it("keeps no connection that knows HTTP/1.1 only once its endpoint is gone", async () => {
    const { connections, send, pool, state, load } = start(10);
    state.isMultiplexed = false;
    const waiting = send(1);
    pool.drain();
    const [answered] = await waiting;
    expect(answered).toMatchObject({ status: "fulfilled", value: { status: 200 } });
    connections[0]!.end();
    expect([connections[0]!.isClosed, pool.active, load.connections]).toEqual([true, 0, 0]);
  });
});
