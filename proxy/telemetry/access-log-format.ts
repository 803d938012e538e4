import type { Problem } from "../../common/base/problem.ts";
import type { Result } from "../../common/base/result.ts";
import { failed, ok } from "../../common/base/result.ts";
import { escapeJson, escapeText } from "./access-log-escape.ts";
import type { AccessLogContext, OperatorValue } from "./access-log-operators.ts";
import { compileOperator } from "./access-log-operators.ts";
import type { LogSubject } from "./log-subject.ts";

/** Prints one exchange as one line, with its line break. */
export type LineFormat = (exchange: LogSubject) => string;

/** A JSON format: each value is a format string of its own, or a nested object. */
export interface JsonFormat {
  readonly [key: string]: string | JsonFormat;
}

/** The line that Istio's sidecars print, with the provenance of the route added at its end. */
export const defaultTextFormat = [
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%"',
  "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%",
  '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION%',
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%"',
  '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS%',
  "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%",
  '"%ROUTE_SOURCE%" "%DENIAL%"\n',
].join(" ");

/** What a person at a terminal wants to see of a request: when, what, how it ended, where it went and by which rule. */
export const defaultShortFormat = [
  "%START_TIME(%H:%M:%S.%3f)% %REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
  "%RESPONSE_CODE% %RESPONSE_FLAGS% %DURATION% ms",
  "%UPSTREAM_CLUSTER_RAW% by %ROUTE_NAME% %DECIDED_BY%\n",
].join(" ");

/** The keys that Istio's sidecars print in JSON, and `route_source`. */
export const defaultJsonFormat: JsonFormat = {
  start_time: "%START_TIME%",
  method: "%REQ(:METHOD)%",
  path: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
  protocol: "%PROTOCOL%",
  authority: "%REQ(:AUTHORITY)%",
  response_code: "%RESPONSE_CODE%",
  response_flags: "%RESPONSE_FLAGS%",
  response_code_details: "%RESPONSE_CODE_DETAILS%",
  connection_termination_details: "%CONNECTION_TERMINATION_DETAILS%",
  upstream_transport_failure_reason: "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
  bytes_received: "%BYTES_RECEIVED%",
  bytes_sent: "%BYTES_SENT%",
  duration: "%DURATION%",
  upstream_service_time: "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
  x_forwarded_for: "%REQ(X-FORWARDED-FOR)%",
  user_agent: "%REQ(USER-AGENT)%",
  request_id: "%REQ(X-REQUEST-ID)%",
  upstream_host: "%UPSTREAM_HOST%",
  upstream_cluster: "%UPSTREAM_CLUSTER_RAW%",
  upstream_local_address: "%UPSTREAM_LOCAL_ADDRESS%",
  downstream_local_address: "%DOWNSTREAM_LOCAL_ADDRESS%",
  downstream_remote_address: "%DOWNSTREAM_REMOTE_ADDRESS%",
  requested_server_name: "%REQUESTED_SERVER_NAME%",
  route_name: "%ROUTE_NAME%",
  route_source: "%ROUTE_SOURCE%",
  denial: "%DENIAL%",
};

/** Compiles Envoy's text format. Line breaks inside the format are kept; one is added when the format ends without. */
export function compileTextFormat(format: string, context: AccessLogContext): Result<LineFormat> {
  const problems: Problem[] = [];
  const pieces = compilePieces(format, "", context, problems);
  if (problems.length > 0) return failed(problems);
  const end = format.endsWith("\n") ? "" : "\n";
  return ok((exchange) => printText(pieces, exchange) + end);
}

/** Compiles Envoy's JSON format: a value that is one operator keeps its type and is null when it has no value. */
export function compileJsonFormat(format: JsonFormat, context: AccessLogContext): Result<LineFormat> {
  const problems: Problem[] = [];
  const print = compileObject(format, "", context, problems);
  return problems.length > 0 ? failed(problems) : ok((exchange) => `${print(exchange)}\n`);
}

type Piece = string | OperatorValue;

/** Splits at `%…%`, where an argument in parentheses may itself hold percent signs (START_TIME's format); `%%` is a percent sign. */
function compilePieces(
  format: string,
  path: string,
  context: AccessLogContext,
  problems: Problem[],
): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const found of format.matchAll(/%%|%([^%(]*(?:\((?:[^)]*)\))?[^%(]*)%|%/g)) {
    if (found.index > at) pieces.push(format.slice(at, found.index));
    at = found.index + found[0].length;
    if (found[0] === "%%") {
      pieces.push("%");
    } else if (found[1] === undefined) {
      problems.push({ path, why: "a % is not closed", hint: "write %% for a percent sign" });
    } else {
      const compiled = compileOperator(found[1], context);
      if (compiled.ok) pieces.push(compiled.value);
      else problems.push({ path, why: compiled.why, ...(compiled.hint ? { hint: compiled.hint } : {}) });
    }
  }
  if (at < format.length) pieces.push(format.slice(at));
  return pieces;
}

function printText(pieces: readonly Piece[], exchange: LogSubject): string {
  let line = "";
  for (const piece of pieces) {
    if (typeof piece === "string") {
      line += piece;
      continue;
    }
    const value = piece(exchange);
    if (value === undefined) line += "-";
    else line += typeof value === "number" ? value : escapeText(value);
  }
  return line;
}

function compileObject(
  format: JsonFormat,
  path: string,
  context: AccessLogContext,
  problems: Problem[],
): LineFormat {
  const members = Object.entries(format).map(([key, value]) => {
    const at = path === "" ? key : `${path}.${key}`;
    const print =
      typeof value === "string"
        ? compileJsonValue(value, at, context, problems)
        : compileObject(value, at, context, problems);
    return { key: `${JSON.stringify(key)}:`, print };
  });
  return (exchange) => {
    let text = "";
    for (const { key, print } of members) text += `${text === "" ? "{" : ","}${key}${print(exchange)}`;
    return text === "" ? "{}" : `${text}}`;
  };
}

function compileJsonValue(
  format: string,
  path: string,
  context: AccessLogContext,
  problems: Problem[],
): LineFormat {
  const pieces = compilePieces(format, path, context, problems);
  const [only] = pieces;
  if (pieces.length === 1 && typeof only === "function") {
    return (exchange) => {
      const value = only(exchange);
      if (value === undefined) return "null";
      return typeof value === "number" ? String(value) : escapeJson(value);
    };
  }
  return (exchange) => {
    const text = pieces
      .map((piece) => (typeof piece === "string" ? piece : (piece(exchange) ?? "-")))
      .join("");
    return escapeJson(text);
  };
}
