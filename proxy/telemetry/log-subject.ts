import type { DownstreamConnection, Exchange } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import type { TcpConnection } from "../net/tcp-connection.ts";

/** What a line of the access log is about: an exchange, or a connection that was passed on. */
export interface LogSubject
  extends Pick<
    Exchange,
    | "startedAt"
    | "finishedAt"
    | "requestCompleteAt"
    | "responseStartedAt"
    | "method"
    | "path"
    | "originalPath"
    | "authority"
    | "headers"
    | "responseHeaders"
    | "status"
    | "flags"
    | "detail"
    | "bytesReceived"
    | "bytesSent"
    | "upstream"
    | "cluster"
    | "attempts"
    | "grpcStatus"
  > {
  readonly downstream: DownstreamConnection;
  /** Undefined when it is not known what was spoken. */
  readonly protocol: string | undefined;
  readonly scheme: string | undefined;
  readonly route: Pick<NonNullable<Exchange["route"]>, "name" | "source"> | undefined;
  /** The client's own address, where trusted proxies before us said it. */
  readonly clientAddress?: string | undefined;
  /** Why authorization said no. */
  readonly denial?: string | undefined;
  /** Why a connection ended, when neither side ended it. */
  readonly terminationDetails?: string | undefined;
  /** `ip:port` of our end of the connection to the upstream. */
  readonly upstreamLocal?: string | undefined;
}

/** A connection that was passed on, in an access log's words; everything of HTTP is absent, as in Envoy. */
export function tcpLogSubject(connection: TcpConnection): LogSubject {
  const { chain, source, detail, denial, flags } = connection;
  const isFailure = flags.includes("UF");
  return {
    downstream: connection.downstream,
    startedAt: connection.startedAt,
    finishedAt: connection.finishedAt,
    requestCompleteAt: 0,
    responseStartedAt: 0,
    denial,
    protocol: undefined,
    scheme: undefined,
    method: "",
    path: "",
    originalPath: undefined,
    authority: "",
    headers: noHeaders,
    responseHeaders: undefined,
    status: 0,
    flags,
    // Envoy's response_code_details are HTTP's; a connection has a reason for its failure, or for its end.
    detail: isFailure ? detail : "",
    terminationDetails: isFailure || detail === "" ? undefined : detail,
    bytesReceived: connection.bytesReceived,
    bytesSent: connection.bytesSent,
    upstream: connection.upstream,
    upstreamLocal: connection.upstreamLocal,
    cluster: connection.cluster,
    attempts: connection.attempts,
    grpcStatus: undefined,
    route: chain === "" ? undefined : { name: chain, ...(source === undefined ? {} : { source }) },
  };
}

const noHeaders = new HeaderList([]);
