import type { TcpFault } from "../model/tcp-fault.ts";
import type { Json, JsonObject } from "./weft-metadata.ts";
import { member, number } from "./weft-metadata.ts";
import type { Reading } from "./wire.ts";

/** Travels in a cluster's `filter_metadata.weft`: Envoy has no faults for connections. */
export function tcpFaultToJson(fault: TcpFault | undefined): JsonObject | undefined {
  if (fault === undefined) return undefined;
  const { delay, reset, limit } = fault;
  return {
    ...(delay && { delay: { ...delay } }),
    ...(reset && { reset: { ...reset } }),
    ...(limit && { limit: { ...limit } }),
  };
}

/** Undefined when there is none. One that is not understood is a problem: an experiment that does nothing proves nothing. */
export function tcpFaultFromJson(json: Json, path: string, reading: Reading): TcpFault | undefined {
  if (json === undefined) return undefined;
  const delay = partFromJson(member(json, "delay"), "ms");
  const reset = partFromJson(member(json, "reset"), "afterMs");
  const limit = partFromJson(member(json, "limit"), "kibPerSecond");
  if ([delay, reset, limit].includes("bad")) {
    reading.problem(path, "holds a TCP fault that is not understood by this version");
    return undefined;
  }
  return {
    ...(delay !== undefined && { delay: delay as NonNullable<TcpFault["delay"]> }),
    ...(reset !== undefined && { reset: reset as NonNullable<TcpFault["reset"]> }),
    ...(limit !== undefined && { limit: limit as NonNullable<TcpFault["limit"]> }),
  };
}

function partFromJson(json: Json, key: string): { readonly fraction: number } | undefined | "bad" {
  if (json === undefined) return undefined;
  const fraction = number(json, "fraction");
  const value = number(json, key);
  return fraction === undefined || value === undefined ? "bad" : { fraction, [key]: value };
}
