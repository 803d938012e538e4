import messages from "./generated/messages.js";
import { toStruct } from "./weft-metadata.ts";

const { CheckRequest, CheckResponse } = messages.envoy.service.auth.v3;

type HeaderOption = messages.envoy.config.core.v3.HeaderValueOption;

/** The gRPC method that decides about requests. */
export const checkMethod = "/envoy.service.auth.v3.Authorization/Check";

/** What is asked about. */
export interface CheckQuestion {
  readonly source: CheckPeer;
  readonly destination: CheckPeer;
  /** Absent: a connection whose bytes nobody reads. */
  readonly http?: {
    readonly id: string;
    readonly method: string;
    /** Names in lower case. */
    readonly headers: ReadonlyMap<string, string>;
    readonly path: string;
    readonly host: string;
    readonly scheme: string;
    readonly protocol: string;
    /** -1: unknown. */
    readonly size: number;
    readonly body?: Buffer;
    readonly isRaw: boolean;
  };
  readonly serverName: string;
  /** ms since the epoch. */
  readonly time: number;
}

export interface CheckPeer {
  readonly address: string;
  readonly port: number;
  /** SPIFFE ID, "" when nobody was proved. */
  readonly principal: string;
}

export interface CheckAnswer {
  readonly isAllowed: boolean;
  /** Allowing: for the request, refusing: for the client. */
  readonly headers: readonly CheckHeader[];
  readonly removed: readonly string[];
  /** Allowing: for the answer to the client. */
  readonly responseHeaders: readonly CheckHeader[];
  /** Refusing: 0 when it does not say. */
  readonly status: number;
  readonly body: string;
}

export interface CheckHeader {
  readonly name: string;
  readonly value: string;
  readonly appends: boolean;
}

export function encodeCheck(question: CheckQuestion): Buffer {
  const { http } = question;
  const text = http?.body === undefined || http.isRaw ? undefined : http.body.toString("utf8");
  return Buffer.from(
    CheckRequest.encode({
      attributes: {
        source: toPeer(question.source),
        destination: toPeer(question.destination),
        request: {
          time: { seconds: Math.floor(question.time / 1000), nanos: (question.time % 1000) * 1e6 },
          ...(http
            ? {
                http: {
                  id: http.id,
                  method: http.method,
                  headers: Object.fromEntries(http.headers),
                  path: http.path,
                  host: http.host,
                  scheme: http.scheme,
                  protocol: http.protocol,
                  size: http.size,
                  ...(text === undefined ? {} : { body: text }),
                  ...(http.body !== undefined && http.isRaw ? { rawBody: http.body } : {}),
                },
              }
            : {}),
        },
        metadataContext: {
          filterMetadata: { weft: toStruct({ serverName: question.serverName || undefined }) },
        },
      },
    }).finish(),
  );
}

/** Throws for what is no CheckResponse. */
export function decodeCheckAnswer(bytes: Buffer): CheckAnswer {
  const wire = CheckResponse.decode(bytes);
  const isAllowed = (wire.status?.code ?? 0) === 0;
  const { okResponse, deniedResponse } = wire;
  return {
    isAllowed,
    headers: ((isAllowed ? okResponse?.headers : deniedResponse?.headers) ?? []).flatMap(fromOption),
    removed: okResponse?.headersToRemove ?? [],
    responseHeaders: (okResponse?.responseHeadersToAdd ?? []).flatMap(fromOption),
    status: deniedResponse?.status?.code ?? 0,
    body: deniedResponse?.body ?? "",
  };
}

function toPeer({ address, port, principal }: CheckPeer) {
  return {
    address: { socketAddress: { address, portValue: port } },
    ...(principal === "" ? {} : { principal }),
  };
}

/** Envoy's older `append` and its newer action say the same. */
function fromOption({ header, append, appendAction }: HeaderOption): CheckHeader[] {
  if (!header?.key) return [];
  const appends = append?.value ?? false;
  return [{ name: header.key, value: header.value ?? "", appends: appends && (appendAction ?? 0) === 0 }];
}
