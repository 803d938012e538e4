import { Body } from "../../proxy/http/body.ts";
import type { ExchangeInit } from "../../proxy/http/exchange.ts";
import { Exchange } from "../../proxy/http/exchange.ts";
import { HeaderList } from "../../proxy/http/header-list.ts";

/** `GET http://svc/` without headers, with what a test cares about laid over it. */
export function plainExchange(change: Partial<ExchangeInit> = {}): Exchange {
  return new Exchange({
    downstream: {
      remote: { host: "127.0.0.1", port: 40_000 },
      local: { host: "127.0.0.1", port: 15_001 },
      listener: "test",
      scheme: "http",
    },
    protocol: "HTTP/1.1",
    startedAt: 0,
    method: "GET",
    scheme: "http",
    authority: "svc",
    path: "/",
    headers: new HeaderList(),
    body: Body.empty(),
    upgrade: undefined,
    expectsContinue: false,
    ...change,
  });
}
