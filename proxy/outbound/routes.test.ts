import { describe, expect, it } from "vitest";
import type { RouteConfiguration, VirtualHost } from "../../common/model/route.ts";
import { plainExchange } from "../../test/support/exchange.ts";
import { plainRoute, virtualHost } from "../../test/support/routes.ts";
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

  it("drops a virtual host that went, and the table of a configuration that went", () => {
    const { tables } = newTables();
    tables.update(configured(host("a"), host("b")));
    tables.update(configured(host("b")));
    expect(tables.obtain("r").table!.findVirtualHost("a")).toBeUndefined();
    expect(tables.obtain("r").table!.findVirtualHost("b")).toBeDefined();
    tables.update(new Map());
    expect(tables.obtain("r").table).toBeUndefined();
  });

  it("gives a listener that came first the routes that come later", async () => {
    const { tables } = newTables();
    const service = pickRoute(tables.obtain("r"));
    const early = plainExchange({ authority: "a" });
    await expect(service(early)).rejects.toMatchObject({
      code: "no_route",
      detail: "route_configuration_not_found",
    });
    tables.update(configured(host("a")));
    const late = plainExchange({ authority: "a" });
    expect((await service(late)).reason).toBe("a");
    expect(late.route!.name).toBe("a");
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
  const tables = new RouteTables((route) => {
    built.push(route.name);
    const answer: Response = {
      status: 200,
      reason: route.name,
      headers: new HeaderList(),
      body: Body.empty(),
    };
    return async () => answer;
  });
  return { tables, built };
}

function host(name: string, routeName = name): VirtualHost {
  return virtualHost(name, [name], [plainRoute(routeName)]);
}

function configured(...virtualHosts: VirtualHost[]): ReadonlyMap<string, RouteConfiguration> {
  return new Map([["r", { name: "r", vhds: true, virtualHosts }]]);
}
