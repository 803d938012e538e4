import { describe, expect, it } from "vitest";
import { meshError } from "../errors.ts";
import { Body } from "./body.ts";
import { Exchange } from "./exchange.ts";
import { HeaderList } from "./header-list.ts";
import { localReply } from "./reply.ts";

function exchange(raw: string[] = []): Exchange {
  const address = { host: "127.0.0.1", port: 1 };
  return new Exchange({
    downstream: { remote: address, local: address, listener: "l", scheme: "http" },
    protocol: "HTTP/1.1",
    startedAt: 0,
    method: "POST",
    scheme: "http",
    authority: "h",
    path: "/",
    headers: new HeaderList(raw),
    body: Body.empty(),
    upgrade: undefined,
    expectsContinue: false,
  });
}

describe("localReply", () => {
  it("names the reason in plain text and notes it on the exchange", () => {
    const request = exchange();
    const reply = localReply(request, meshError("no_healthy_upstream", "no_healthy_upstream"));
    expect(reply.status).toBe(503);
    expect(reply.headers.raw).toEqual(["content-type", "text/plain", "content-length", "41"]);
    const chunks: Buffer[] = [];
    reply.body.pipe({ data: (chunk) => chunks.push(chunk) > 0, end() {}, fail() {} });
    expect(Buffer.concat(chunks).toString()).toBe("no_healthy_upstream: no_healthy_upstream\n");
    expect(request).toMatchObject({
      flags: "UH",
      detail: "no_healthy_upstream",
      errorCode: "no_healthy_upstream",
    });
  });

  it.each(["application/grpc", "application/grpc+proto", "application/grpc;charset=x"])(
    "answers %s with trailers only",
    (type) => {
      const reply = localReply(exchange(["Content-Type", type]), meshError("request_timeout", "50% of é"));
      expect(reply.status).toBe(200);
      expect(reply.headers.raw).toEqual([
        "content-type",
        "application/grpc",
        "grpc-status",
        "14",
        "grpc-message",
        "request_timeout: 50%25 of %C3%A9",
      ]);
      expect(reply.body.length).toBe(0);
    },
  );

  it("does not take grpc-web for gRPC", () => {
    expect(localReply(exchange(["content-type", "application/grpc-web"]), meshError("no_route")).status).toBe(
      404,
    );
  });

  it("has no answer for a client that is gone", () => {
    expect(localReply(exchange(), meshError("downstream_closed")).status).toBe(0);
  });
});
