import { describe, expect, it } from "vitest";
import { defaultOutlierDetection } from "../../../common/model/outlier-detection.ts";
import { FakeClock } from "../../../test/support/fake-clock.ts";
import { Body } from "../../http/body.ts";
import { Exchange } from "../../http/exchange.ts";
import { HeaderList } from "../../http/header-list.ts";
import { OutlierDetector, OutlierRecord } from "./outlier.ts";
import { watchOutcome } from "./watch-outcome.ts";

/** One endpoint that is ejected at the first failure, and calls to it. */
function scene() {
  const record = new OutlierRecord();
  const detector = new OutlierDetector(
    { ...defaultOutlierDetection, consecutive5xx: 1, maxEjectionPercent: 100 },
    { clock: new FakeClock(), records: () => [record], onChange: () => {} },
  );
  const call = async (type: string, responseFields: string[], trailerStatus: string | undefined) => {
    const exchange = new Exchange({
      downstream: {
        remote: { host: "10.0.0.1", port: 1 },
        local: { host: "10.0.0.2", port: 2 },
        listener: "out",
        scheme: "http",
      },
      protocol: "HTTP/2",
      startedAt: 0,
      method: "POST",
      scheme: "http",
      authority: "reviews",
      path: "/",
      headers: new HeaderList(["content-type", type]),
      body: Body.empty(),
      upgrade: undefined,
      expectsContinue: false,
    });
    const response = { status: 200, reason: "", headers: new HeaderList(responseFields), body: Body.empty() };
    await watchOutcome(Promise.resolve(response), exchange, record, detector);
    const before = record.isEjected;
    exchange.grpcStatus = trailerStatus;
    exchange.finish(1);
    return [before, record.isEjected];
  };
  return { call };
}

describe("what outlier detection is told of a gRPC call", () => {
  it("is the status of its trailers, when the headers have none", async () => {
    expect(await scene().call("application/grpc", [], "14")).toEqual([false, true]);
    expect(await scene().call("application/grpc+proto", [], "0")).toEqual([false, false]);
    expect(await scene().call("application/grpc", [], "5")).toEqual([false, false]);
  });

  it("is the status of its headers, at once, when they have one", async () => {
    expect(await scene().call("application/grpc", ["grpc-status", "14"], undefined)).toEqual([true, true]);
  });

  it("is nothing bad when it broke off before its trailers, or is no gRPC call", async () => {
    expect(await scene().call("application/grpc", [], undefined)).toEqual([false, false]);
    expect(await scene().call("text/plain", [], "14")).toEqual([false, false]);
  });
});
