import type { ServerDuplexStream } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import type { LeaseReply, LeaseReport } from "../../common/xds/lease-service.ts";
import type { LeaseLedger } from "./lease-ledger.ts";

export type LeaseStream = ServerDuplexStream<LeaseReport, LeaseReply>;

/**
 * Answers the streams on which proxies report what their limits need. One stream speaks for one proxy. `isAdmitted`: whether the caller
 * may ask at all; absent: everybody may.
 */
export function answerLeaseCalls(
  ledger: LeaseLedger,
  isAdmitted?: (call: LeaseStream) => Promise<boolean>,
): (call: LeaseStream) => void {
  return (call) => {
    if (isAdmitted === undefined) return answer(call, ledger);
    isAdmitted(call).then(
      (admitted) => {
        if (admitted) answer(call, ledger);
        else call.emit("error", { code: status.UNAUTHENTICATED, details: "nobody knows who calls" });
      },
      (cause: Error) => call.emit("error", { code: status.UNAVAILABLE, details: cause.message }),
    );
  };
}

function answer(call: LeaseStream, ledger: LeaseLedger): void {
  let proxy: string | undefined;
  const close = (): void => {
    if (proxy !== undefined) ledger.gone(proxy);
    proxy = undefined;
  };
  call.on("data", (report: LeaseReport) => {
    if (proxy !== undefined && proxy !== report.proxy) {
      call.emit("error", { code: status.INVALID_ARGUMENT, details: "a stream speaks for one proxy" });
      close();
      return;
    }
    proxy = report.proxy;
    call.write(ledger.report(report));
  });
  call.on("end", () => {
    call.end();
    close();
  });
  for (const event of ["cancelled", "close", "error"] as const) call.on(event, close);
}
