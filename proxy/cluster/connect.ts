import type { SocketAddress } from "../../common/model/node.ts";
import type { ErrorCode } from "../errors.ts";
import { MeshError, meshError } from "../errors.ts";
import type { ClientConnection } from "../http/client-connection.ts";

/**
 * Opens a connection ready for its first exchange, or rejects within `timeoutMs`. The address is an IP address.
 * Whatever it rejects with becomes a MeshError through `toConnectError`.
 */
export type Connect = (address: SocketAddress, timeoutMs: number) => Promise<ClientConnection>;

/** Says what went wrong while connecting in the catalogue's words; all of them carry Envoy's flag UF. */
export function toConnectError(thrown: unknown): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const errno = (thrown as { readonly code?: unknown } | undefined)?.code;
  const name = typeof errno === "string" ? errno : "unknown";
  return meshError(codeOfErrno[name] ?? "connect_failed", name.toLowerCase(), thrown);
}

const codeOfErrno: Readonly<Record<string, ErrorCode>> = Object.assign(Object.create(null), {
  ECONNREFUSED: "connect_refused",
  ETIMEDOUT: "connect_timeout",
} satisfies Record<string, ErrorCode>);
