import type { FaultAbort, FaultDelay, FaultPolicy } from "../../../common/model/route.ts";
import type { TcpFault } from "../../../common/model/tcp-fault.ts";
import { durationMs } from "../fields/duration.ts";
import { resolveHost } from "../fields/host.ts";
import { compileLabels } from "../fields/labels.ts";
import type { Percent } from "../fields/numbers.ts";
import { percentFraction } from "../fields/numbers.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledFault } from "./compiled.ts";
import type { FaultSpec } from "./schema.ts";

export function compileFaultKind(spec: FaultSpec, { namespace }: SpecContext): CompiledFault {
  const { route, service } = spec.target;
  if (service !== undefined) {
    const { host, port } = service;
    return {
      kind: "Fault",
      target: {
        kind: "service",
        host: resolveHost(host, namespace),
        ...(port === undefined ? {} : { port }),
        policy: compileTcp(spec.tcp),
      },
    };
  }
  return {
    kind: "Fault",
    target: {
      kind: "route",
      // The schema has let exactly one of the two targets through.
      virtualService: route?.virtualService ?? "",
      ...(route?.rule === undefined ? {} : { rule: route.rule }),
      ...(spec.callers && {
        callers: spec.callers.map((caller) => ({
          ...(caller.namespace === undefined ? {} : { namespace: caller.namespace }),
          ...(caller.labels && { labels: compileLabels(caller.labels) }),
        })),
      }),
      policy: compilePolicy(spec),
    },
  };
}

function compilePolicy({ delay, abort, responseBandwidth, maxActive }: FaultSpec): FaultPolicy {
  return {
    ...(delay && { delay: compileDelay(delay) }),
    ...(abort && { abort: compileAbort(abort) }),
    ...(responseBandwidth && {
      responseLimit: {
        fraction: fractionOf(responseBandwidth.percentage),
        ...(responseBandwidth.kibPerSecond === undefined
          ? {}
          : { kibPerSecond: responseBandwidth.kibPerSecond }),
      },
    }),
    ...(maxActive === undefined ? {} : { maxActive }),
  };
}

function compileDelay(input: NonNullable<FaultSpec["delay"]>): FaultDelay {
  const fraction = fractionOf(input.percentage);
  if (input.fromHeader) return { fraction, kind: "header" };
  if (input.fixedDelay !== undefined) return { fraction, kind: "fixed", ms: durationMs(input.fixedDelay) };
  return { fraction, kind: "exponential", ms: durationMs(input.exponentialDelay) ?? 0 };
}

function compileAbort(input: NonNullable<FaultSpec["abort"]>): FaultAbort {
  const fraction = fractionOf(input.percentage);
  if (input.fromHeader) return { fraction, fromHeader: true };
  if (input.grpcStatus !== undefined) return { fraction, grpcStatus: input.grpcStatus };
  return { fraction, httpStatus: input.httpStatus ?? 503 };
}

function compileTcp({ delay, reset, bandwidth }: NonNullable<FaultSpec["tcp"]> = {}): TcpFault {
  return {
    ...(delay && { delay: { fraction: fractionOf(delay.percentage), ms: durationMs(delay.fixedDelay) } }),
    ...(reset && {
      reset: { fraction: fractionOf(reset.percentage), afterMs: durationMs(reset.after) ?? 0 },
    }),
    ...(bandwidth && {
      limit: { fraction: fractionOf(bandwidth.percentage), kibPerSecond: bandwidth.kibPerSecond },
    }),
  };
}

function fractionOf(percentage: Percent | undefined): number {
  return percentage === undefined ? 1 : percentFraction(percentage);
}
