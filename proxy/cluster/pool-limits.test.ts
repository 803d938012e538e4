import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { plainExchange } from "../../test/support/exchange.ts";
import { FakeClock, settle } from "../../test/support/fake-clock.ts";
import { meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import type { ClientConnection } from "../http/client-connection.ts";
import type { Response } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import { ClusterLoad } from "./load.ts";
import { Pool } from "./pool.ts";

/** Two endpoints' pools with the limits of one cluster, over connections that do what the test says. */
function scene(limits: ClusterLoad["limits"]) {
  const load = new ClusterLoad();
  load.limits = limits;
  const clock = new FakeClock();
  const opening: PromiseWithResolvers<ClientConnection>[] = [];
  const connections: Connection[] = [];
  const connect = () => {
    const promise = Promise.withResolvers<ClientConnection>();
    opening.push(promise);
    return promise.promise;
  };
  const settings = { maxConnections: 1024, maxPending: 4096, idleTimeoutMs: 4_000 };
  const pools = [0, 1].map(() => new Pool({ connect, load, settings, clock }));
  return { load, clock, opening, connections, pools };
}

class Connection implements ClientConnection {
  capacity = 1;
  isReused = false;
  readonly isMultiplexed = false;
  onEnded: (() => void) | undefined = undefined;
  readonly localAddress = "127.0.0.1:1";
  onAvailable: (() => void) | undefined = undefined;
  onClose: (() => void) | undefined = undefined;
  isClosed = false;
  #isLast = false;
  #resolve: ((response: Response) => void) | undefined = undefined;

  send(): Promise<Response> {
    this.capacity = 0;
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  finish(): void {
    const resolve = this.#resolve;
    if (resolve === undefined || this.isClosed) return;
    this.#resolve = undefined;
    resolve({ status: 200, reason: "", headers: new HeaderList(), body: Body.empty() });
    if (this.#isLast) this.destroy();
    else {
      this.capacity = 1;
      this.onAvailable?.();
    }
  }

  close(): void {
    if (this.#resolve === undefined) this.destroy();
    else this.#isLast = true;
  }

  destroy(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.capacity = 0;
    this.onClose?.();
  }
}

const event = fc.record({
  what: fc.constantFrom("send", "send", "cancel", "open", "refuse", "finish", "finish", "break", "wait"),
  which: fc.nat({ max: 20 }),
});

describe("the limits of a cluster", () => {
  it("hold at every moment, and nothing is counted that is over", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 80 }), async (events) => {
        const limits = {
          maxConnections: 3,
          maxPendingRequests: 4,
          maxRequests: 6,
          maxRequestsPerConnection: 3,
          maxConnectionDurationMs: 5_000,
        };
        const { load, clock, opening, connections, pools } = scene(limits);
        const exchanges: ReturnType<typeof plainExchange>[] = [];
        for (const { what, which } of events) {
          if (what === "send") {
            const exchange = plainExchange();
            exchanges.push(exchange);
            pools[which % 2]!.send(exchange).catch(() => {});
          } else if (what === "cancel") exchanges[which]?.cancel(meshError("downstream_closed"));
          else if (what === "open" && opening.length > 0) {
            const connection = new Connection();
            connections.push(connection);
            opening.shift()!.resolve(connection);
          } else if (what === "refuse") opening.shift()?.reject(meshError("connect_refused"));
          else if (what === "finish") connections[which % connections.length]?.finish();
          else if (what === "break") connections[which % connections.length]?.destroy();
          else if (what === "wait") await clock.advance(1_000);
          await settle();
          // One more than the limit, because each endpoint may always have one.
          expect(load.connections).toBeLessThanOrEqual(4);
          expect(load.pending).toBeLessThanOrEqual(4);
          expect(load.requests).toBeLessThanOrEqual(6);
          expect(load.pending).toBe(pools[0]!.waiting + pools[1]!.waiting);
          expect(load.requests).toBe(pools[0]!.active + pools[1]!.active);
        }
        for (const pool of pools) pool.stop();
        for (const promise of opening) promise.resolve(new Connection());
        await settle();
        expect(load).toMatchObject({ connections: 0, pending: 0, requests: 0 });
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});
