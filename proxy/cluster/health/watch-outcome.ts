import type { MeshError } from "../../errors.ts";
import { toMeshError } from "../../errors.ts";
import type { Exchange, Response } from "../../http/exchange.ts";
import { grpcStatusName, httpStatusOfGrpc, isGrpc } from "../../http/grpc-status.ts";
import type { OutlierDetector, OutlierRecord } from "./outlier.ts";

/** Tells outlier detection what became of an attempt. What the client or this proxy did is nobody's failure. */
export function watchOutcome(
  sent: Promise<Response>,
  exchange: Exchange,
  record: OutlierRecord,
  detector: OutlierDetector,
): Promise<Response> {
  return sent.then(
    (response) => {
      if (!saysInTrailers(response, exchange)) detector.answered(record, statusOf(response, exchange));
      else exchange.onFinish(() => detector.answered(record, trailerStatus(exchange)));
      return response;
    },
    (thrown: unknown) => {
      const status = failureStatus(toMeshError(thrown));
      if (status !== undefined) detector.failed(record, status);
      throw thrown;
    },
  );
}

/** A gRPC call that fails at once says so with status 200 and a grpc-status header; it counts as the HTTP status that means the same. */
function statusOf(response: Response, exchange: Exchange): number {
  if (response.status !== 200 || !isGrpc(exchange)) return response.status;
  const status = response.headers.get("grpc-status");
  return status === undefined ? 200 : httpStatusOfGrpc(grpcStatusName(status));
}

/** A gRPC call that answered with messages says how it went after the last of them. */
function saysInTrailers({ status, headers }: Response, exchange: Exchange): boolean {
  return status === 200 && !headers.has("grpc-status") && isGrpc(exchange);
}

/** What ended before its trailers says nothing of the endpoint. */
function trailerStatus({ grpcStatus }: Exchange): number {
  return grpcStatus === undefined ? 200 : httpStatusOfGrpc(grpcStatusName(grpcStatus));
}

function failureStatus({ code }: MeshError): 503 | 504 | undefined {
  switch (code) {
    case "connect_timeout":
    case "connect_refused":
    case "connect_failed":
    case "reset_before_request":
    case "upstream_reset":
    case "upstream_protocol_error":
      return 503;
    case "request_timeout":
    case "per_try_timeout":
    case "upstream_idle_timeout":
      return 504;
    default:
      return undefined;
  }
}
