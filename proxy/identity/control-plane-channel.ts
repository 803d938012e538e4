import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { ChannelCredentials } from "@grpc/grpc-js";
import { credentials, Metadata } from "@grpc/grpc-js";
import type { Clock } from "../../common/base/clock.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import type { IdentitySource } from "../net/identity-source.ts";

/** What a proxy was given to know its control plane by, and to be known. */
export interface ControlPlaneTrust {
  /** PEM file of the roots that the control plane's certificate chains to. Read at every connection, since roots change. */
  readonly rootsFile: string;
  /** Holds the token that proves who this workload is; read anew like the roots (Kubernetes' tokens live for an hour). */
  readonly tokenFile: string;
}

/** What one connection to the control plane is opened with. */
export interface ControlPlaneChannel {
  readonly credentials: ChannelCredentials;
  readonly metadata: Metadata;
  /** Of the gRPC channel. */
  readonly options: Readonly<Record<string, string>>;
}

/**
 * TLS to the control plane: it must show a certificate of its roots for the name that is dialled. This workload shows its own certificate
 * while that holds, and its token in any case. Throws an Error that names the file which can't be read.
 */
export function openControlPlaneChannel(
  { host }: SocketAddress,
  { rootsFile, tokenFile }: ControlPlaneTrust,
  identity: IdentitySource,
  clock: Clock,
): ControlPlaneChannel {
  const { current } = identity;
  const isValid = current !== undefined && current.expiresAt > clock.now();
  // Which of the two knows the newer root depends on who heard of it first.
  const roots = `${read(rootsFile, "the roots of the control plane")}\n${current?.roots ?? ""}`;
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${read(tokenFile, "the token of this workload").trim()}`);
  return {
    credentials: isValid
      ? credentials.createSsl(Buffer.from(roots), Buffer.from(current.privateKey), Buffer.from(current.chain))
      : credentials.createSsl(Buffer.from(roots)),
    metadata,
    // An address is no server name (RFC 6066 3); every control plane's certificate has this name.
    options: isIP(host) === 0 ? {} : { "grpc.ssl_target_name_override": "weft-control-plane" },
  };
}

function read(file: string, noun: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new Error(`cannot read ${noun}, ${file}: ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
}
