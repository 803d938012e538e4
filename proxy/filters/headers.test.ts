import { describe, expect, it } from "vitest";
import type { HeaderOperations, WeightedDestination } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import { plainRoute } from "../../test/support/routes.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { describeFilter, exchangeOf, FilterScene, responseOf } from "./contract.ts";
import { headers } from "./headers.ts";

const changing = { ...noHeaderOperations, set: [["x-a", "1"]] } satisfies HeaderOperations;
describeFilter(headers, plainRoute("it", {}, { requestHeaders: changing, responseHeaders: changing }));

interface Change {
  request?: Partial<HeaderOperations>;
  response?: Partial<HeaderOperations>;
  destination?: Partial<WeightedDestination>;
}

async function run(change: Change, exchange: Exchange, answer = responseOf()): Promise<Response> {
  const scene = new FilterScene();
  const route = plainRoute(
    "it",
    {},
    {
      requestHeaders: { ...noHeaderOperations, ...change.request },
      responseHeaders: { ...noHeaderOperations, ...change.response },
    },
  );
  const [plain] = route.action.kind === "forward" ? route.action.destinations : [];
  const context = { ...scene.context, destination: { ...plain!, ...change.destination } };
  const layer = headers.build(route, context)!;
  return layer(async () => answer)(exchange);
}

async function fieldsAfter(request: Partial<HeaderOperations>, fields: string[]): Promise<string[]> {
  const exchange = exchangeOf({ headers: fields, path: "/a?b" });
  await run({ request }, exchange);
  return exchange.headers.raw;
}

describe("headers", () => {
  it("is off without operations", () => {
    expect(headers.build(plainRoute("a"), new FilterScene().context)).toBeUndefined();
  });

  it("removes, then sets, then adds", async () => {
    const request = { remove: ["a"], set: [["B", "2"]], add: [["A", "3"]] } as const;
    expect(await fieldsAfter(request, ["A", "1", "b", "1", "B", "1"])).toEqual(
      ["B", "2", "A", "3"].with(0, "b"),
    );
  });

  it("applies the destination's operations first, so the route has the last word", async () => {
    const exchange = exchangeOf();
    const destination = {
      requestHeaders: {
        ...noHeaderOperations,
        set: [
          ["x", "destination"],
          ["y", "destination"],
        ],
      },
      responseHeaders: { ...noHeaderOperations, set: [["x", "destination"]] },
    } satisfies Partial<WeightedDestination>;
    const answer = await run(
      { destination, request: { set: [["x", "route"]] }, response: { set: [["x", "route"]] } },
      exchange,
    );
    expect(exchange.headers.raw).toEqual(["x", "route", "y", "destination"]);
    expect(answer.headers.get("x")).toBe("route");
  });

  it("changes the authority when Host is set", async () => {
    for (const name of ["Host", ":authority"]) {
      const exchange = exchangeOf();
      await run({ request: { set: [[name, "other:80"]], remove: ["host"] } }, exchange);
      expect(exchange.authority).toBe("other:80");
      expect(exchange.headers.raw).toEqual([]);
    }
  });

  it.each(["Content-Length", "transfer-encoding", "Connection", "Upgrade", ":path", "a b", "a\r\nb", ""])(
    "never touches %j, which frames the message or is no name",
    async (name) => {
      const exchange = exchangeOf({ headers: ["Content-Length", "5"] });
      await run(
        {
          request: {
            set: [
              [name, "x"],
              ["ok", "1"],
            ],
            add: [[name, "x"]],
            remove: [name.toLowerCase()],
          },
        },
        exchange,
      );
      expect(exchange.headers.raw).toEqual(["Content-Length", "5", "ok", "1"]);
    },
  );

  it.each([
    ["%REQ(:method)% %REQ(:path)% %REQ(:authority)%", "GET /a?b reviews"],
    ["%REQ(X-Missing?end-user)%", "jason,alice"],
    ["<%REQ(missing)%>", "<>"],
    ["%DOWNSTREAM_REMOTE_ADDRESS%", "10.0.0.1:4711"],
    ["%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.1"],
    ["%PROTOCOL%", "HTTP/1.1"],
    ["%START_TIME%", "2026-01-01T00:00:00.000Z"],
    ["100%%", "100%"],
    ["100%", "100%"],
    ["%UNKNOWN%", "%UNKNOWN%"],
    ["%%REQ(end-user)%%", "%REQ(end-user)%"],
    ["line\r\nbreak", "line  break"],
    ["ä", "\u00c3\u00a4"],
  ])("makes %j into %j", async (text, expected) => {
    const exchange = exchangeOf({ headers: ["End-User", "jason", "end-user", "alice"], path: "/a?b" });
    await run({ request: { set: [["made", text]] } }, exchange);
    expect(exchange.headers.get("made")).toBe(expected);
  });

  it("leaves a header out whose value comes out empty", async () => {
    expect(await fieldsAfter({ set: [["a", "%REQ(missing)%"]], add: [["b", ""]] }, ["a", "old"])).toEqual([
      "a",
      "old",
    ]);
  });

  it("makes response values of the response", async () => {
    const response = { set: [["x", "%RESPONSE_CODE% %RESP(y)% %REQ(:method)%"]] } as const;
    const answer = await run({ response }, exchangeOf(), responseOf(204, "", ["Y", "1"]));
    expect(answer.headers.get("x")).toBe("204 1 GET");
  });
});
