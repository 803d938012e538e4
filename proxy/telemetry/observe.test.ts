import { describe, expect, it } from "vitest";
import { Body } from "../http/body.ts";
import { Exchange } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import type { Service } from "../http/layer.ts";
import { ActiveRequests, observe } from "./observe.ts";

const answer: Service = async () => ({
  status: 204,
  reason: "",
  headers: new HeaderList(),
  body: Body.empty(),
});

describe("observe", () => {
  it.each([0, 1, 2, 3])(
    "tells each of %i observers once, when the exchange is over and not before",
    async (count) => {
      const seen: number[] = [];
      const observers = Array.from({ length: count }, (_, index) => () => void seen.push(index));
      const exchange = create();
      await observe(observers)(answer)(exchange);
      expect(seen).toEqual([]);
      exchange.finish(2);
      exchange.finish(3);
      expect(seen).toEqual(observers.map((_, index) => index));
    },
  );
});

describe("ActiveRequests", () => {
  it("counts an exchange until it is over, also when its service fails", async () => {
    const active = new ActiveRequests();
    const [good, bad] = [create(), create()];
    await active.layer(answer)(good);
    await expect(active.layer(() => Promise.reject(new Error("no")))(bad)).rejects.toThrow("no");
    expect(active.count).toBe(2);
    good.finish(2);
    expect(active.count).toBe(1);
    bad.finish(2);
    expect(active.count).toBe(0);
  });
});

function create(): Exchange {
  return new Exchange({
    downstream: {
      remote: { host: "10.0.0.1", port: 40_000 },
      local: { host: "127.0.0.1", port: 15_001 },
      listener: "virtualOutbound",
      scheme: "http",
    },
    protocol: "HTTP/1.1",
    startedAt: 1,
    method: "GET",
    scheme: "http",
    authority: "review",
    path: "/",
    headers: new HeaderList(),
    body: Body.empty(),
    upgrade: undefined,
    expectsContinue: false,
  });
}
