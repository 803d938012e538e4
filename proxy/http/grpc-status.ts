import { grpcStatusNames, grpcStatusNumber as numberOf } from "../../common/model/grpc-status.ts";
import type { Exchange } from "./exchange.ts";

/** HTTP statuses in the order of `grpcStatusNames` (google.rpc.Code). */
const httpStatuses = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

/** The number of a status name; a name that is none counts as UNKNOWN. */
export function grpcStatusNumber(name: string): number {
  return numberOf(name) ?? 2;
}

/** The name of a status number as it stands in a grpc-status field; "UNKNOWN" when it is none. */
export function grpcStatusName(number: string | number): string {
  return grpcStatusNames[Number(number)] ?? "UNKNOWN";
}

/** What a status name means to a client that speaks no gRPC. */
export function httpStatusOfGrpc(name: string): number {
  return httpStatuses[grpcStatusNumber(name)]!;
}

/** What an HTTP status without grpc-status means to a gRPC client (grpc/grpc doc/http-grpc-status-mapping.md). */
export function grpcStatusOfHttp(status: number): string {
  switch (status) {
    case 400:
      return "INTERNAL";
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "PERMISSION_DENIED";
    case 404:
      return "UNIMPLEMENTED";
    case 429:
    case 502:
    case 503:
    case 504:
      return "UNAVAILABLE";
    default:
      return "UNKNOWN";
  }
}

/** True for a gRPC request: content type `application/grpc`, alone or with a suffix (`+proto`) or parameter. */
export function isGrpc(exchange: Exchange): boolean {
  const type = exchange.headers.get("content-type");
  if (type === undefined || !type.startsWith("application/grpc")) return false;
  const next = type[16];
  return next === undefined || next === "+" || next === ";";
}
