import { describe, expect, it } from "vitest";
import type { Random } from "../../common/base/random.ts";
import { seededRandom } from "../../common/base/random.ts";
import type { ForwardAction, Route } from "../../common/model/route.ts";
import { FakeClock, settle } from "../../test/support/fake-clock.ts";
import { plainRoute } from "../../test/support/routes.ts";
import { meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import type { ExchangeInit, Response } from "../http/exchange.ts";
import { Exchange } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import type { Service } from "../http/layer.ts";
import type { Filter, FilterContext } from "./filter.ts";

/** What the tests of all filters share: a place to run one without sockets, and the rules that each must keep. */

/** A world with a clock that stands still and upstreams that are functions. */
export class FilterScene {
  readonly clock = new FakeClock();
  readonly retried: string[] = [];
  readonly dropped: string[] = [];
  readonly context: FilterContext;
  readonly #upstreams = new Map<string, Service>();

  constructor(random: Random = seededRandom(1)) {
    this.context = {
      clock: this.clock,
      random,
      upstream: (cluster) => (exchange) => {
        const service = this.#upstreams.get(cluster);
        return service === undefined ? Promise.reject(meshError("no_cluster")) : service(exchange);
      },
      events: {
        retried: (_cluster, reason) => this.retried.push(reason),
        mirrorDropped: (cluster) => this.dropped.push(cluster),
      },
    };
  }

  upstream(cluster: string, service: Service): this {
    this.#upstreams.set(cluster, service);
    return this;
  }

  /** The filter's layer around `next`. Throws when the route does not use the filter. */
  wrap(filter: Filter, route: Route, next: Service): Service {
    const layer = filter.build(route, this.context);
    if (layer === undefined) throw new Error(`${filter.name} is off for this route`);
    return layer(next);
  }
}

export function exchangeOf(
  init: Partial<Omit<ExchangeInit, "headers">> & { headers?: string[] } = {},
): Exchange {
  return new Exchange({
    downstream: {
      remote: { host: "10.0.0.1", port: 4711 },
      local: { host: "10.0.0.2", port: 15001 },
      listener: "virtualOutbound",
      scheme: "http",
    },
    protocol: "HTTP/1.1",
    startedAt: 0,
    method: "GET",
    scheme: "http",
    authority: "reviews",
    path: "/",
    body: Body.empty(),
    upgrade: undefined,
    expectsContinue: false,
    ...init,
    headers: new HeaderList([...(init.headers ?? [])]),
  });
}

export function responseOf(status = 200, text = "", fields: readonly string[] = []): Response {
  return { status, reason: "", headers: new HeaderList([...fields]), body: Body.of(Buffer.from(text)) };
}

/** All of a body as text; rejects when it breaks off. */
export function textOf(body: Body): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    body.pipe({
      data(chunk) {
        text += chunk.toString("latin1");
        return true;
      },
      end: () => resolve(text),
      fail: reject,
    });
  });
}

/** A route that forwards, with a part of its action laid over the plain one. */
export function forwardRoute(action: Partial<ForwardAction>, rest: Partial<Route> = {}): Route {
  const plain = plainRoute("it", {}, rest);
  return { ...plain, action: { ...(plain.action as ForwardAction), ...action } };
}

/** What every filter promises. `active`: a route that uses it, on which a plain request is forwarded. */
export function describeFilter(filter: Filter, active: Route): void {
  describe(`${filter.name}, as every filter`, () => {
    it("hands the answer on and leaves no timer once the exchange is finished", async () => {
      const scene = new FilterScene();
      const answer = responseOf(200, "hello");
      const exchange = exchangeOf();
      const received = scene.wrap(filter, active, async () => answer)(exchange);
      await settle();
      expect((await received).body).toBe(answer.body);
      exchange.finish(1);
      expect(scene.clock.pendingTimers).toBe(0);
    });

    it("hands an error on that is not its business", async () => {
      const scene = new FilterScene();
      const error = meshError("bad_request");
      const exchange = exchangeOf();
      await expect(scene.wrap(filter, active, () => Promise.reject(error))(exchange)).rejects.toBe(error);
      exchange.finish(1);
      expect(scene.clock.pendingTimers).toBe(0);
    });

    it("ends at once when the client goes away", async () => {
      const scene = new FilterScene();
      const exchange = exchangeOf();
      const waiting: Service = (given) =>
        new Promise((_resolve, reject) => {
          given.whenCancelled(reject);
        });
      const received = scene.wrap(filter, active, waiting)(exchange);
      const cause = meshError("downstream_closed");
      exchange.cancel(cause);
      exchange.finish(1);
      await expect(received).rejects.toBe(cause);
      await settle();
      expect(scene.clock.pendingTimers).toBe(0);
    });

    it("passes a request body on without holding it back", async () => {
      const scene = new FilterScene();
      const body = new Body(undefined);
      const exchange = exchangeOf({ method: "POST", body });
      const echo: Service = async (given) => responseOf(200, await textOf(given.body));
      const received = scene.wrap(filter, active, echo)(exchange);
      await settle();
      body.push(Buffer.from("one "));
      body.push(Buffer.from("two"));
      body.end();
      expect(await textOf((await received).body)).toBe("one two");
      exchange.finish(1);
    });
  });
}
