import { describe, expect, it } from "vitest";
import type { RouteConfiguration, VirtualHost } from "../../common/model/route.ts";
import { plainExchange } from "../../test/support/exchange.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { plainRoute, virtualHost } from "../../test/support/routes.ts";
import { meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import type { Response } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import { pickRoute, RouteTables } from "./routes.ts";

describe("RouteTables", () => {
  it("compiles only virtual hosts that changed", () => {
    const { tables, built } = newTables();
    const [a, b] = [host("a"), host("b")];
    tables.update(configured(a, b));
    tables.update(configured(a, host("b", "b2")));
    expect(built).toEqual(["a", "b", "b2"]);
  });

  it("compiles nothing when a configuration is the same object, or its virtual hosts are", () => {
    const { tables, built } = newTables();
    const a = host("a");
    tables.update(configured(a));
    const { table } = tables.obtain("r");
    tables.update(configured(a));
    expect(built).toEqual(["a"]);
    expect(tables.obtain("r").table).toBe(table);
  });

  it("keeps the old table when a route can't be built, and takes all that is missing the next time", () => {
    const { tables } = newTables();
    const [a, b] = [host("a"), host("b")];
    tables.update(configured(a));
    expect(() => tables.update(configured(a, b, host("bad")))).toThrow("bad route");
    expect(tables.obtain("r").table!.findVirtualHost("a")).toBeDefined();
    tables.update(configured(a, b));
    expect(tables.obtain("r").table!.findVirtualHost("b")).toBeDefined();
  });

  it("drops a virtual host that went, and the table of a configuration that went", () => {
    const { tables } = newTables();
    tables.update(configured(host("a"), host("b")));
    tables.update(configured(host("b")));
    expect(tables.obtain("r").table!.findVirtualHost("a")).toBeUndefined();
    expect(tables.obtain("r").table!.findVirtualHost("b")).toBeDefined();
    tables.update(new Map());
    expect(tables.obtain("r").table).toBeUndefined();
  });

  it("lets requests wait for the first routes, which come after their listener", async () => {
    const { tables } = newTables();
    const early = plainExchange({ authority: "a" });
    const sent = pickRoute(tables.obtain("r"))(early);
    tables.update(configured());
    tables.update(configured(host("a")));
    expect((await sent).reason).toBe("a");
    expect(early.route!.name).toBe("a");
  });

  it("lets them wait two seconds, and after that says at once that there is no route", async () => {
    const { tables, clock } = newTables();
    const service = pickRoute(tables.obtain("r"));
    const nothing = { code: "no_route", detail: "route_configuration_not_found" };
    await Promise.all([
      expect(service(plainExchange())).rejects.toMatchObject(nothing),
      clock.advance(2_000),
    ]);
    await expect(service(plainExchange())).rejects.toMatchObject(nothing);
  });

  it("lets a client that goes away stop waiting", async () => {
    const { tables } = newTables();
    const exchange = plainExchange({ authority: "a" });
    const sent = pickRoute(tables.obtain("r"))(exchange);
    exchange.cancel(meshError("downstream_closed"));
    await expect(sent).rejects.toMatchObject({ code: "downstream_closed" });
    tables.update(configured(host("a")));
    expect(exchange.route).toBeUndefined();
  });

  it("lets a request finish on the table that it began with", async () => {
    const { tables } = newTables();
    tables.update(configured(host("a")));
    const service = pickRoute(tables.obtain("r"));
    const sent = service(plainExchange({ authority: "a" }));
    tables.update(configured(host("a", "other")));
    expect((await sent).reason).toBe("a");
    expect((await service(plainExchange({ authority: "a" }))).reason).toBe("other");
  });
});

/** Each route answers with its own name. */
function newTables() {
  const built: string[] = [];
  const clock = new FakeClock();
  const tables = new RouteTables((route) => {
    if (route.name === "bad") throw new Error("bad route");
    built.push(route.name);
    const answer: Response = {
      status: 200,
      reason: route.name,
      headers: new HeaderList(),
      body: Body.empty(),
    };
    return async () => answer;
  }, clock);
  return { tables, built, clock };
}

function host(name: string, routeName = name): VirtualHost {
  return virtualHost(name, [name], [plainRoute(routeName)]);
}

function configured(...virtualHosts: VirtualHost[]): ReadonlyMap<string, RouteConfiguration> {
  return new Map([["r", { name: "r", vhds: true, virtualHosts }]]);
}
