/** gRPC's status names in the order of their numbers (grpc/grpc doc/statuscodes.md); google.rpc.Code is the same list. */
export const grpcStatusNames = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** The number of a status name, or undefined when it is none. */
export function grpcStatusNumber(name: string): number | undefined {
  const number = (grpcStatusNames as readonly string[]).indexOf(name);
  return number === -1 ? undefined : number;
}
