import type { MeshError } from "../errors.ts";
import { Body } from "./body.ts";
import type { Exchange, Response } from "./exchange.ts";
import { grpcStatusNumber, isGrpc } from "./grpc-status.ts";
import { HeaderList } from "./header-list.ts";

/**
 * The answer that a client gets for `error`, and the only place that decides it: plain text that names the reason, or for gRPC
 * requests a trailers-only response. Also notes the error's flag and detail on the exchange for the access log. Status 0
 * (`downstream_closed`) stands for an answer that nobody will read; codecs send nothing for it.
 */
export function localReply(exchange: Exchange, error: MeshError): Response {
  exchange.addFlag(error.entry.flag);
  exchange.errorCode = error.code;
  exchange.detail = error.detail === "" ? error.code : error.detail;
  if (isGrpc(exchange)) return grpcReply(error);
  const body = Buffer.from(error.entry.text ?? `${error.message}\n`);
  const headers = new HeaderList(["content-type", "text/plain", "content-length", String(body.length)]);
  // Envoy's word to whoever might retry: there is too much already.
  if (error.code === "upstream_overflow" || error.code === "overloaded")
    headers.add("x-envoy-overloaded", "true");
  if (error.code === "overloaded") headers.add("retry-after", "1");
  return { status: error.entry.http, reason: "", headers, body: Body.of(body) };
}

/** What tells a gRPC client of an error, in trailers or in the only head. */
export function grpcErrorFields(error: MeshError): string[] {
  return [
    "grpc-status",
    String(grpcStatusNumber(error.entry.grpc)),
    "grpc-message",
    percentEncode(error.entry.text || error.message),
  ];
}

function grpcReply(error: MeshError): Response {
  const headers = new HeaderList(["content-type", "application/grpc", ...grpcErrorFields(error)]);
  return { status: error.entry.http === 0 ? 0 : 200, reason: "", headers, body: Body.empty() };
}

/** grpc-message is percent-encoded outside printable ASCII (PROTOCOL-HTTP2.md, "Status-Message"). */
function percentEncode(text: string): string {
  return text.replace(/[^ -$&-~]/gu, (character) =>
    Array.from(
      Buffer.from(character),
      (octet) => `%${octet.toString(16).toUpperCase().padStart(2, "0")}`,
    ).join(""),
  );
}
