import { describe, expect, it } from "vitest";
import type { VirtualHost } from "../../common/model/route.ts";
import { plainExchange } from "../../test/support/exchange.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { plainRoute, virtualHost } from "../../test/support/routes.ts";
import { meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import { defaultOnDemand, OnDemand } from "./on-demand.ts";
import type { OnDemandSettings } from "./on-demand-hosts.ts";
import { pickRoute, RouteTables } from "./routes.ts";

describe("a service that a request names for the first time", () => {
  it("is asked for once, whoever else asks meanwhile, and each of them goes on when it comes", async () => {
    const proxy = new Sidecar();
    const sent = [proxy.send("reviews"), proxy.send("Reviews."), proxy.send("reviews")];
    expect(proxy.take()).toEqual(["+reviews"]);
    proxy.hosts("reviews.ns:80 = reviews reviews.ns:80 ~ reviews");
    expect(await Promise.all(sent)).toEqual(["reviews.ns:80", "reviews.ns:80", "reviews.ns:80"]);
    expect(await proxy.send("reviews")).toBe("reviews.ns:80");
    expect(proxy.take()).toEqual([]);
  });

  it("needs no asking when another name of its virtual host brought it", async () => {
    const proxy = new Sidecar();
    const first = proxy.send("reviews");
    proxy.hosts("reviews.ns:80 = reviews reviews.ns:80 ~ reviews");
    await first;
    expect(await proxy.send("reviews.ns:80")).toBe("reviews.ns:80");
    expect(proxy.take()).toEqual(["+reviews"]);
  });

  it("goes the way of all hosts when nobody knows it, and is not asked for again", async () => {
    const proxy = new Sidecar();
    const sent = proxy.send("nobody.example");
    proxy.gone("nobody.example");
    expect(await sent).toBe("*");
    expect(await proxy.send("nobody.example")).toBe("*");
    expect(proxy.take()).toEqual(["+nobody.example"]);
    expect(proxy.demand.counts).toEqual({ known: 0, absent: 1, asked: 0, answered: 1, unanswered: 0 });
  });

  it("is found when it begins to exist, and forgotten when it ends, without being asked for again", async () => {
    const proxy = new Sidecar();
    const sent = proxy.send("later.example");
    proxy.gone("later.example");
    expect(await sent).toBe("*");
    proxy.hosts("later.example = later.example");
    expect(await proxy.send("later.example")).toBe("later.example");
    proxy.hosts();
    proxy.gone("later.example");
    expect(await proxy.send("later.example")).toBe("*");
    expect(proxy.take()).toEqual(["+later.example"]);
  });

  it("is asked for although a wildcard fits, because it may have routes of its own", async () => {
    const proxy = new Sidecar();
    const one = proxy.send("one.w.example");
    proxy.hosts("*.w.example = *.w.example ~ one.w.example");
    expect(await one).toBe("*.w.example");
    const two = proxy.send("two.w.example");
    proxy.hosts("*.w.example = *.w.example", "two.w.example = two.w.example");
    expect(await two).toBe("two.w.example");
    expect(proxy.take()).toEqual(["+one.w.example", "+two.w.example"]);
  });

  it("is asked for again under a name that its virtual host lost", async () => {
    const proxy = new Sidecar();
    const first = proxy.send("a");
    proxy.hosts("a = a b ~ a");
    await first;
    expect(await proxy.send("b")).toBe("a");
    proxy.hosts("a = a");
    const second = proxy.send("b");
    proxy.gone("b");
    expect(await second).toBe("*");
    expect(proxy.take()).toEqual(["+a", "+b"]);
  });

  it("fails after two seconds when the control plane is there and says nothing", async () => {
    const proxy = new Sidecar();
    const sent = expect(proxy.send("slow.example")).rejects.toMatchObject({ code: "host_not_discovered" });
    await proxy.clock.advance(2_000);
    await sent;
    expect(proxy.demand.counts).toMatchObject({ asked: 1, unanswered: 1 });
    const again = proxy.send("slow.example");
    proxy.hosts("slow.example = slow.example");
    expect(await again).toBe("slow.example");
    expect(proxy.clock.pendingTimers).toBe(0);
  });

  it("waits no longer than its client", async () => {
    const proxy = new Sidecar();
    const exchange = plainExchange({ authority: "slow.example" });
    const sent = proxy.pick(exchange);
    exchange.cancel(meshError("downstream_closed"));
    await expect(sent).rejects.toMatchObject({ code: "downstream_closed" });
    expect(proxy.clock.pendingTimers).toBe(0);
  });

  it("follows what is held when no control plane is there, after the time that one needs to restart", async () => {
    const proxy = new Sidecar();
    proxy.demand.disconnected();
    const sent = proxy.send("new.example");
    await proxy.clock.advance(2_000);
    expect(await sent).toBe("*");
    expect(await proxy.send("other.example")).toBe("*");
    // Who could not be asked then is asked now.
    proxy.demand.connected();
    const later = proxy.send("other.example");
    proxy.hosts("other.example = other.example");
    expect(await later).toBe("other.example");
  });

  it("is not asked for when it can be no host, nor of a control plane that sends everything unasked", async () => {
    const proxy = new Sidecar();
    expect(await proxy.send("a/b")).toBe("*");
    expect(await proxy.send("x".repeat(300))).toBe("*");
    proxy.isOnDemand = false;
    expect(await proxy.send("a.example")).toBe("*");
    expect(proxy.take()).toEqual([]);
  });
});

describe("names that nobody is called", () => {
  it("are remembered up to a limit, the latest ones", async () => {
    const proxy = new Sidecar({ maxLooseNames: 2 });
    for (const name of ["n1", "n2", "n3"]) {
      await proxy.clock.advance(1);
      const sent = proxy.send(name);
      proxy.gone(name);
      await sent;
    }
    expect(proxy.take()).toEqual(["+n1", "+n2", "-n1", "+n3"]);
    await proxy.send("n3");
    expect(proxy.take()).toEqual([]);
  });

  it("are refused while as many are being asked for, so that a scan grows nothing", async () => {
    const proxy = new Sidecar({ maxLooseNames: 2 });
    const waiting = [proxy.send("n1"), proxy.send("n2")];
    await expect(proxy.send("n3")).rejects.toMatchObject({ code: "overloaded" });
    proxy.gone("n1");
    proxy.gone("n2");
    await Promise.all(waiting);
    expect(proxy.take()).toEqual(["+n1", "+n2"]);
  });
});

describe("a service that nobody uses any more", () => {
  const hour = 3_600_000;

  async function used(): Promise<Sidecar> {
    const proxy = new Sidecar();
    const sent = proxy.send("a");
    proxy.hosts("a = a alias ~ a");
    await sent;
    await proxy.send("alias");
    proxy.take();
    return proxy;
  }

  it("is given up after an hour without requests by any of its names", async () => {
    const proxy = await used();
    await proxy.clock.advance(hour / 2);
    await proxy.send("alias");
    await proxy.clock.advance(hour / 2);
    proxy.demand.sweep();
    expect(proxy.take()).toEqual([]);
    await proxy.clock.advance(hour / 2);
    proxy.demand.sweep();
    expect(proxy.take()).toEqual(["-a"]);
  });

  it("is asked for anew by who comes before it is taken away", async () => {
    const proxy = await used();
    await proxy.clock.advance(hour);
    proxy.demand.sweep();
    const sent = proxy.send("a");
    expect(proxy.take()).toEqual(["-a", "+a"]);
    proxy.hosts();
    proxy.gone("a");
    proxy.hosts("a = a alias");
    expect(await sent).toBe("a");
  });

  it("is kept while a request is under way, however long, and while it could not be asked for again", async () => {
    const proxy = await used();
    const exchange = plainExchange({ authority: "a", startedAt: proxy.clock.monotonic() });
    await proxy.pick(exchange);
    await proxy.clock.advance(2 * hour);
    proxy.demand.sweep();
    exchange.finish(proxy.clock.monotonic());
    proxy.demand.disconnected();
    proxy.demand.sweep();
    expect(proxy.take()).toEqual([]);
    proxy.demand.connected();
    proxy.demand.sweep();
    expect(proxy.take()).toEqual(["-a"]);
  });

  it("is one that was used before a restart, an hour after it", async () => {
    const proxy = new Sidecar();
    proxy.hosts("a = a");
    proxy.demand.restore(["r/a"]);
    expect(proxy.take()).toEqual(["+a"]);
    proxy.demand.disconnected();
    expect(await proxy.send("a")).toBe("a");
    proxy.demand.connected();
    await proxy.clock.advance(hour);
    proxy.demand.sweep();
    expect(proxy.take()).toEqual(["-a"]);
  });
});

/** A sidecar's routes with a control plane that says what the test says. Each virtual host answers with its name. */
class Sidecar {
  readonly clock = new FakeClock();
  readonly demand: OnDemand;
  isOnDemand = true;
  readonly #asked: string[] = [];
  readonly #tables: RouteTables;

  constructor(settings: Partial<OnDemandSettings> = {}) {
    const note = (sign: string) => (names: readonly string[]) =>
      void this.#asked.push(...names.map((name) => name.replace("r/", sign)));
    const self = this;
    const source = {
      get isOnDemand() {
        return self.isOnDemand;
      },
      subscribe: note("+"),
      unsubscribe: note("-"),
    };
    this.demand = new OnDemand({ ...defaultOnDemand, ...settings, clock: this.clock, source: () => source });
    this.#tables = new RouteTables(
      ({ name }) => {
        const response: Response = {
          status: 200,
          reason: name,
          headers: new HeaderList(),
          body: Body.empty(),
        };
        return async () => response;
      },
      this.clock,
      (name, routes) => this.demand.hostsOf(name, routes),
    );
    this.hosts();
    this.demand.connected();
  }

  pick(exchange: Exchange): Promise<Response> {
    return pickRoute(this.#tables.obtain("r"))(exchange);
  }

  /** The name of the virtual host that answered. */
  async send(authority: string): Promise<string> {
    const exchange = plainExchange({ authority, startedAt: this.clock.monotonic() });
    const { reason } = await this.pick(exchange);
    exchange.finish(this.clock.monotonic());
    return reason;
  }

  /** The control plane sends these and no others, besides the one for all: `NAME = DOMAINS ~ ALIASES`. */
  hosts(...lines: string[]): void {
    const updated = new Map<string, readonly string[]>();
    const hosts = lines.map((line): VirtualHost => {
      const [name = "", domains = "", aliases = ""] = line.split(/ [=~] /);
      updated.set(`r/${name}`, aliases === "" ? [] : aliases.split(" ").map((alias) => `r/${alias}`));
      return virtualHost(name, domains.split(" "), [plainRoute(name)]);
    });
    const forAll = virtualHost("*", ["*"], [plainRoute("*")]);
    this.#tables.update(new Map([["r", { name: "r", vhds: true, virtualHosts: [...hosts, forAll] }]]));
    this.demand.changed({ updated, removed: [] });
  }

  gone(name: string): void {
    this.demand.changed({ updated: new Map(), removed: [`r/${name}`] });
  }

  take(): string[] {
    return this.#asked.splice(0);
  }
}
