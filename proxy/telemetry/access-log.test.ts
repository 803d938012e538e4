import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import type { Route } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { Body } from "../http/body.ts";
import { Exchange } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import type { AccessLogSettings } from "./access-log.ts";
import { accessLog } from "./access-log.ts";
import { openLogSink } from "./log-sink.ts";

const clock = new FakeClock(Date.UTC(2026, 10, 22, 20, 58, 34, 123));

const route: Route = {
  name: "canary",
  source: { kind: "VirtualService", namespace: "default", name: "reviews", file: "shop/r.yaml", line: 12 },
  match: { path: { kind: "any" }, headers: [], queryParams: [] },
  action: { kind: "forward", destinations: [], mirrors: [] },
  requestHeaders: noHeaderOperations,
  responseHeaders: noHeaderOperations,
};

describe("the access log", () => {
  it("prints Istio's default line, with the place that the route came from", () => {
    expect(print({ encoding: "text" }, served())).toBe(
      '[2026-11-22T20:58:34.123Z] "GET /before HTTP/1.1" 200 - via_upstream - "-" 5 100 8 3 "10.1.1.1" "curl/8" "id-1" ' +
        '"reviews:9080" "10.0.0.7:9080" outbound|9080|v2|reviews - 127.0.0.1:15001 10.0.0.1:40000 - canary ' +
        '"VirtualService/default/reviews(shop/r.yaml:12)" "-"\n',
    );
  });

  it("prints a short line for people", () => {
    expect(print({ encoding: "short" }, served())).toBe(
      "20:58:34.123 GET /before 200 - 8 ms outbound|9080|v2|reviews by canary VirtualService/default/reviews(shop/r.yaml:12)\n",
    );
  });

  it("prints a dash for what there is not", () => {
    expect(
      print({ encoding: "text", format: "%ROUTE_NAME% %UPSTREAM_HOST% %REQ(X)% %GRPC_STATUS%" }, bare()),
    ).toBe("- - - -\n");
  });

  it("keeps types in JSON: numbers, null for nothing, and text where a value is put together", () => {
    const format = {
      code: "%RESPONSE_CODE%",
      none: "%REQ(X)%",
      both: "%REQ(:METHOD)% %RESPONSE_CODE%",
      in: { a: "%REQ(X)%b" },
    };
    expect(JSON.parse(print({ encoding: "json", format }, served()))).toEqual({
      code: 200,
      none: null,
      both: "GET 200",
      in: { a: "-b" },
    });
  });

  it("has the route's source in the default JSON", () => {
    expect(JSON.parse(print({ encoding: "json" }, served()))).toMatchObject({
      route_source: "VirtualService/default/reviews(shop/r.yaml:12)",
      path: "/before",
      duration: 8,
      upstream_host: "10.0.0.7:9080",
      response_flags: "-",
    });
  });

  it("prints what is known of a TLS connection, and who called when others saw it", () => {
    const spiffeId = "spiffe://cluster.local/ns/shop/sa/web";
    const peer = { spiffeId, principal: "", trustDomain: "", namespace: "", serviceAccount: "" };
    const tls = { version: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256" };
    const plain = served();
    const exchange = Object.assign(served(), {
      downstream: { ...plain.downstream, serverName: "shop.example.com", tls, peer },
      clientAddress: "203.0.113.9",
    });
    const format =
      "%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER% %REQUESTED_SERVER_NAME% %DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%";
    expect(print({ encoding: "text", format }, exchange)).toBe(
      `TLSv1.3 TLS_AES_128_GCM_SHA256 shop.example.com ${spiffeId} 203.0.113.9:0 10.0.0.1:40000\n`,
    );
    expect(print({ encoding: "text", format }, plain)).toBe("- - - - 10.0.0.1:40000 10.0.0.1:40000\n");
  });

  it("prints flags, details and the reason of a failed connect", () => {
    const exchange = served();
    exchange.addFlag("UF");
    exchange.addFlag("URX");
    exchange.detail = "upstream reset: ECONNREFUSED";
    const format = "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_TRANSPORT_FAILURE_REASON%";
    expect(print({ encoding: "text", format }, exchange)).toBe(
      "UF,URX upstream_reset:_ECONNREFUSED upstream reset: ECONNREFUSED\n",
    );
  });
});

describe("format operators", () => {
  it.each([
    ["%REQ(X-NONE?USER-AGENT)%", "curl/8"],
    ["%REQ(user-agent?X-NONE)%", "curl/8"],
    ["%REQ(USER-AGENT):4%", "curl"],
    ["%REQ(X-ENVOY-ORIGINAL-PATH?:PATH):4%", "/bef"],
    ["%REQ(TWICE)%", "a,b"],
    ["%REQ(:AUTHORITY)%", "reviews:9080"],
    ["%REQ(:SCHEME)%", "http"],
    ["%RESP(X-Envoy-Upstream-Service-Time)%", "3"],
    ["%START_TIME(%s.%3f)%", "1795381114.123"],
    ["%START_TIME(%Y/%m/%d %H:%M:%S)%", "2026/11/22 20:58:34"],
    ["%START_TIME(%a, %d %b %Y %T %Z %6f)%", "Sun, 22 Nov 2026 20:58:34 UTC 123000"],
    ["%REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", "1 6 2"],
    ["%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "2"],
    ["%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.1"],
    ["%DOWNSTREAM_LOCAL_PORT%", "15001"],
    ["%HOSTNAME% %ENVIRONMENT(POD)% %ENVIRONMENT(__proto__)%", "node-1 reviews-7f -"],
    ["%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER%", "- -"],
    ["100%% %PROTOCOL%", "100% HTTP/1.1"],
    ["", ""],
  ])("%s", (format, expected) => {
    expect(print({ encoding: "text", format }, served())).toBe(`${expected}\n`);
  });

  it.each([
    ["%RESPONSE_CODES%", /%RESPONSE_CODES% is not a known operator/, /did you mean %RESPONSE_CODE%\?/],
    ["%ROUTE_SUORCE%", /not a known operator/, /%ROUTE_SOURCE%/],
    ["%response_code%", /is not an operator/, /%NAME%/],
    ["%REQ()%", /needs a header name/, /USER-AGENT/],
    ["%REQ(A?B?C)%", /needs a header name/, /FIRST\?SECOND/],
    ["%REQ(:NOPE)%", /not a pseudo-header/, /:METHOD/],
    ["%RESP(:PATH)%", /not a pseudo-header/, /:METHOD/],
    ["%PROTOCOL(x)%", /takes no argument/, undefined],
    ["%START_TIME(%Q)%", /not a time format/, /%START_TIME/],
    ["50% of %PROTOCOL%", /is not an operator/, undefined],
    ["tail %", /not closed/, /%%/],
  ])("refuses %s", (format, why, hint) => {
    const compiled = accessLog({ encoding: "text", format }, { write() {} }, context);
    if (compiled.ok) throw new Error("it was accepted");
    expect(compiled.problems[0]!.why).toMatch(why);
    if (hint !== undefined) expect(compiled.problems[0]!.hint).toMatch(hint);
  });

  it("names the key of a JSON format that is wrong, and every one of them", () => {
    const format = { good: "%PROTOCOL%", bad: "%NOPE%", deep: { worse: "%REQ%" } };
    const compiled = accessLog({ encoding: "json", format }, { write() {} }, context);
    expect(compiled).toMatchObject({ ok: false, problems: [{ path: "bad" }, { path: "deep.worse" }] });
  });
});

describe("case 45: escaping", () => {
  const nasty = 'a\r\nb\x1b[31m"\\\x00\x7f\x9b\xff\t';

  it("lets no line break, terminal escape or quote through in text", () => {
    const exchange = served({ path: nasty });
    expect(print({ encoding: "text", format: '"%REQ(:PATH)%"' }, exchange)).toBe(
      '"a\\r\\nb\\x1b[31m\\"\\\\\\x00\\x7f\\x9b\\xff\\t"\n',
    );
  });

  it("reads bytes as UTF-8 in JSON and escapes what a terminal or browser would act on", () => {
    const path = Buffer.from("/é\u202e\u2028", "utf8").toString("latin1");
    const line = print({ encoding: "json", format: { path: "%REQ(:PATH)%" } }, served({ path }));
    expect(line).toBe('{"path":"/é\\u202e\\u2028"}\n');
  });

  it("cuts values of 10 kB", () => {
    const exchange = served({ path: `/${"x".repeat(10_000)}` });
    expect(print({ encoding: "text" }, exchange).length).toBeLessThan(3000);
    expect(print({ encoding: "json" }, exchange).length).toBeLessThan(3000);
  });

  it("writes one line of printable characters whatever the request says, and JSON that parses", () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map((raw) => Buffer.from(raw).toString("latin1"));
    fc.assert(
      fc.property(bytes, bytes, bytes, (path, authority, agent) => {
        const exchange = served({ path, authority, agent });
        const text = print({ encoding: "text" }, exchange);
        expect(text).toMatch(/^[\x20-\x7e]+\n$/);
        const json = print({ encoding: "json" }, exchange);
        expect(json).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]/);
        expect(json.indexOf("\n")).toBe(json.length - 1);
        expect(JSON.parse(json)).toHaveProperty("authority");
      }),
      { numRuns: 200 },
    );
  });
});

describe("the log sink", () => {
  const file = join(tmpdir(), `weft-access-log-${process.pid}.log`);

  it("gathers the lines of a turn, keeps their order, and appends", async () => {
    for (const part of [1, 2]) {
      const sink = openLogSink({ target: file, clock: systemClock });
      for (let line = 0; line < 500; line++) sink.write(`${part} ${line}\n`);
      await sink.stop();
    }
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    expect(lines).toEqual(
      [1, 2].flatMap((part) => Array.from({ length: 500 }, (_, line) => `${part} ${line}`)),
    );
    rmSync(file);
  });

  it("gives up lines beyond its limit and counts them", async () => {
    let dropped = 0;
    const onDrop = (lines: number) => {
      dropped += lines;
    };
    const sink = openLogSink({ target: file, clock: systemClock, maxHeld: 100, onDrop });
    for (let line = 0; line < 30; line++) sink.write("123456789\n");
    await sink.stop();
    expect(readFileSync(file, "utf8").length).toBe(100);
    expect(dropped).toBe(20);
    rmSync(file);
  });

  it("throws when the file cannot be opened", () => {
    expect(() => openLogSink({ target: "/no/such/folder/log", clock: systemClock })).toThrow(/ENOENT/);
  });
});

const context = { clock, hostname: "node-1", environment: { POD: "reviews-7f" } };

function print(settings: AccessLogSettings, exchange: Exchange): string {
  let line = "";
  const write = (text: string) => {
    line += text;
  };
  const observer = accessLog(settings, { write }, context);
  if (!observer.ok) throw new Error(JSON.stringify(observer.problems));
  observer.value(exchange);
  return line;
}

function served(request: { path?: string; authority?: string; agent?: string } = {}): Exchange {
  const exchange = bare(request);
  if (request.path === undefined) exchange.originalPath = "/before";
  exchange.route = route;
  exchange.cluster = "outbound|9080|v2|reviews";
  exchange.upstream = { address: "10.0.0.7:9080", workload: undefined };
  exchange.attempts = 2;
  exchange.status = 200;
  exchange.bytesReceived = 5;
  exchange.bytesSent = 100;
  exchange.responseHeaders = new HeaderList(["x-envoy-upstream-service-time", "3"]);
  exchange.requestCompleteAt = exchange.startedAt + 1;
  exchange.responseStartedAt = exchange.startedAt + 6;
  exchange.finish(exchange.startedAt + 8);
  return exchange;
}

function bare(request: { path?: string; authority?: string; agent?: string } = {}): Exchange {
  return new Exchange({
    downstream: {
      remote: { host: "10.0.0.1", port: 40_000 },
      local: { host: "127.0.0.1", port: 15_001 },
      listener: "virtualOutbound",
      scheme: "http",
    },
    protocol: "HTTP/1.1",
    startedAt: clock.monotonic(),
    method: "GET",
    scheme: "http",
    authority: request.authority ?? "reviews:9080",
    path: request.path ?? "/after",
    headers: new HeaderList([
      "User-Agent",
      request.agent ?? "curl/8",
      "X-Forwarded-For",
      "10.1.1.1",
      "x-request-id",
      "id-1",
      "Twice",
      "a",
      "twice",
      "b",
    ]),
    body: Body.empty(),
    upgrade: undefined,
    expectsContinue: false,
  });
}
