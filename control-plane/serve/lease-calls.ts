import type { ServerDuplexStream } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import type { Clock } from "../../common/base/clock.ts";
import type { PeerIdentity } from "../../common/model/identity.ts";
import type { LeaseReply, LeaseReport } from "../../common/xds/lease-service.ts";
import type { CallerStream, Callers } from "./callers.ts";
import type { LeaseLedger } from "./lease-ledger.ts";
import type { PaceLimits } from "./pace.ts";
import { PacedReader } from "./pace.ts";

export type LeaseStream = ServerDuplexStream<LeaseReport, LeaseReply>;

export interface LeaseCallParts {
  readonly ledger: LeaseLedger;
  readonly clock: Clock;
  readonly callers: Callers;
  /** Who calls, or undefined when nobody knows; absent: everybody may ask. */
  readonly authenticate?: (call: LeaseStream) => Promise<PeerIdentity | undefined>;
}

/** A proxy reports each second, and sooner when somebody waits. */
const reportPace: PaceLimits = { burst: 200, perSecond: 60 };

/** Answers the streams on which proxies report what their limits need. One stream speaks for one proxy. */
export function answerLeaseCalls(parts: LeaseCallParts): (call: LeaseStream) => void {
  return (call) => {
    if (parts.authenticate === undefined) return admit(call, parts, undefined);
    parts.authenticate(call).then(
      (caller) => {
        if (call.cancelled) return;
        if (caller !== undefined) admit(call, parts, caller);
        else call.emit("error", { code: status.UNAUTHENTICATED, details: "nobody knows who calls" });
      },
      (cause: Error) => call.emit("error", { code: status.UNAVAILABLE, details: cause.message }),
    );
  };
}

function admit(call: LeaseStream, parts: LeaseCallParts, caller: PeerIdentity | undefined): void {
  const place = parts.callers.enter(call.getPeer(), caller);
  if (typeof place === "string") call.emit("error", { code: status.RESOURCE_EXHAUSTED, details: place });
  else answer(call, parts, caller, place);
}

function answer(
  call: LeaseStream,
  { ledger, clock }: LeaseCallParts,
  caller: PeerIdentity | undefined,
  place: CallerStream,
): void {
  const reader = new PacedReader(call, reportPace, clock);
  let proxy: string | undefined;
  let isBlocked = false;
  const holderOf = (name: string) => (caller === undefined ? name : `${caller.principal} ${name}`);
  const close = (): void => {
    reader.stop();
    place.leave();
    if (proxy !== undefined) ledger.gone(holderOf(proxy));
    proxy = undefined;
  };
  call.on("data", (report: LeaseReport) => {
    reader.took(1);
    // Who does not read its replies goes by its own part when its lease runs out.
    if (isBlocked) return;
    if (proxy !== undefined && proxy !== report.proxy) {
      call.emit("error", { code: status.INVALID_ARGUMENT, details: "a stream speaks for one proxy" });
      close();
      return;
    }
    proxy = report.proxy;
    // What another identity calls itself is another holder, so nobody can speak for somebody else.
    isBlocked = !call.write(ledger.report({ ...report, proxy: holderOf(report.proxy) }));
  });
  call.on("drain", () => {
    isBlocked = false;
  });
  call.on("end", () => {
    call.end();
    close();
  });
  for (const event of ["cancelled", "close", "error"] as const) call.on(event, close);
}
