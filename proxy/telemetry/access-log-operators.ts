import type { Clock } from "../../common/base/clock.ts";
import { closestName } from "../../common/base/closest.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import type { Source } from "../../common/model/source.ts";
import { formatSource } from "../../common/model/source.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { LogSubject } from "./log-subject.ts";
import { timeFormat } from "./start-time.ts";

/** What operators may ask besides the exchange. */
export interface AccessLogContext {
  readonly clock: Clock;
  /** `%HOSTNAME%` */
  readonly hostname: string;
  /** The variables that `%ENVIRONMENT(X)%` may print; settings are read in one place, so they are handed in. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** One operator's value: undefined prints `-` in text and null in JSON. Numbers stay numbers in JSON. */
export type OperatorValue = (exchange: LogSubject) => string | number | undefined;

/** An operator ready to run, or why the text between the percent signs is none. */
export type CompiledOperator =
  | { readonly ok: true; readonly value: OperatorValue }
  | { readonly ok: false; readonly why: string; readonly hint?: string };

/** `argument` is what stands in the parentheses, undefined without them. */
type Operator = (argument: string | undefined, context: AccessLogContext) => CompiledOperator;

/** Compiles `NAME`, `NAME(argument)` or either with `:N`, which cuts the value after N characters. */
export function compileOperator(text: string, context: AccessLogContext): CompiledOperator {
  const parsed = /^([A-Z][A-Z0-9_]*)(?:\((.*)\))?(?::(\d+))?$/s.exec(text);
  if (parsed === null) {
    return {
      ok: false,
      why: `%${text}% is not an operator`,
      hint: "write %NAME%, %NAME(argument)% or %NAME:10%",
    };
  }
  const [, name, argument, length] = parsed;
  const operator = operators.get(name!);
  if (operator === undefined) {
    const closest = closestName(name!, operators.keys());
    return {
      ok: false,
      why: `%${name}% is not a known operator`,
      ...(closest === undefined ? {} : { hint: `did you mean %${closest}%?` }),
    };
  }
  const compiled = operator(argument, context);
  if (!compiled.ok || length === undefined) return compiled;
  const max = Number(length);
  const value = compiled.value;
  return {
    ok: true,
    value: (exchange) => {
      const full = value(exchange);
      return typeof full === "string" ? full.slice(0, max) : full;
    },
  };
}

/** The names of all operators, for the reference page. */
export function operatorNames(): readonly string[] {
  return [...operators.keys()];
}

function plain(value: OperatorValue): Operator {
  return (argument) =>
    argument === undefined ? { ok: true, value } : { ok: false, why: "this operator takes no argument" };
}

/** Known to Envoy, but about something that this proxy does not do yet. */
const absent = plain(() => undefined);

/** Takes any argument, as Envoy's does, and has no value yet. */
const absentWithArgument: Operator = () => ({ ok: true, value: () => undefined });

function header(list: (exchange: LogSubject) => HeaderList | undefined, allowsPseudo: boolean): Operator {
  return (argument) => {
    const names = (argument ?? "").split("?");
    if (names.length > 2 || names.some((name) => name === "")) {
      return {
        ok: false,
        why: "it needs a header name",
        hint: "write %REQ(USER-AGENT)% or %REQ(FIRST?SECOND)%",
      };
    }
    const values: OperatorValue[] = [];
    for (const name of names) {
      const lower = name.toLowerCase();
      const pseudo = pseudoHeaders.get(lower);
      if (lower.startsWith(":") && (pseudo === undefined || !allowsPseudo)) {
        return {
          ok: false,
          why: `${name} is not a pseudo-header here`,
          hint: "known: :METHOD :PATH :AUTHORITY :SCHEME",
        };
      }
      values.push(pseudo ?? ((exchange) => list(exchange)?.joined(lower)));
    }
    const [first, second] = values;
    if (second === undefined) return { ok: true, value: first! };
    return { ok: true, value: (exchange) => first!(exchange) ?? second(exchange) };
  };
}

const pseudoHeaders: ReadonlyMap<string, OperatorValue> = new Map<string, OperatorValue>([
  [":method", (exchange) => exchange.method || undefined],
  [":path", (exchange) => exchange.path || undefined],
  [":authority", (exchange) => exchange.authority || undefined],
  [":scheme", (exchange) => exchange.scheme],
  // Envoy keeps the path before a rewrite in this header; our exchange has a field for it.
  [
    "x-envoy-original-path",
    (exchange) => exchange.originalPath ?? exchange.headers.joined("x-envoy-original-path"),
  ],
]);

const time: (now: (exchange: LogSubject, clock: Clock) => number) => Operator =
  (now) => (argument, context) => {
    const format = timeFormat(argument ?? "");
    if (format === undefined) {
      return {
        ok: false,
        why: `${argument} is not a time format`,
        hint: "write it like %START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
      };
    }
    return { ok: true, value: (exchange) => format(now(exchange, context.clock)) };
  };

const operators: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ["START_TIME", time((exchange, clock) => clock.now() - (clock.monotonic() - exchange.startedAt))],
  ["EMIT_TIME", time((_, clock) => clock.now())],
  ["REQ", header((exchange) => exchange.headers, true)],
  ["RESP", header((exchange) => exchange.responseHeaders, false)],
  ["TRAILER", absentWithArgument],
  ["PROTOCOL", plain((exchange) => exchange.protocol)],
  ["RESPONSE_CODE", plain((exchange) => exchange.status)],
  ["RESPONSE_FLAGS", plain((exchange) => exchange.flags || "-")],
  ["RESPONSE_CODE_DETAILS", plain(responseCodeDetails)],
  ["CONNECTION_TERMINATION_DETAILS", plain((exchange) => exchange.terminationDetails)],
  [
    "UPSTREAM_TRANSPORT_FAILURE_REASON",
    plain((exchange) => (exchange.flags.includes("UF") ? exchange.detail || undefined : undefined)),
  ],
  ["BYTES_RECEIVED", plain((exchange) => exchange.bytesReceived)],
  ["BYTES_SENT", plain((exchange) => exchange.bytesSent)],
  ["DURATION", plain((exchange) => since(exchange, exchange.finishedAt))],
  ["REQUEST_DURATION", plain((exchange) => since(exchange, exchange.requestCompleteAt))],
  ["RESPONSE_DURATION", plain((exchange) => since(exchange, exchange.responseStartedAt))],
  [
    "RESPONSE_TX_DURATION",
    plain((exchange) =>
      exchange.responseStartedAt === 0
        ? undefined
        : Math.round(exchange.finishedAt - exchange.responseStartedAt),
    ),
  ],
  ["UPSTREAM_HOST", plain((exchange) => exchange.upstream?.address)],
  ["UPSTREAM_REMOTE_ADDRESS", plain((exchange) => exchange.upstream?.address)],
  ["UPSTREAM_CLUSTER", plain((exchange) => exchange.cluster || undefined)],
  ["UPSTREAM_CLUSTER_RAW", plain((exchange) => exchange.cluster || undefined)],
  ["UPSTREAM_LOCAL_ADDRESS", plain((exchange) => exchange.upstreamLocal)],
  ["UPSTREAM_REQUEST_ATTEMPT_COUNT", plain((exchange) => exchange.attempts)],
  ["DOWNSTREAM_LOCAL_ADDRESS", plain((exchange) => address(exchange.downstream.local))],
  ["DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", plain((exchange) => exchange.downstream.local.host)],
  ["DOWNSTREAM_LOCAL_PORT", plain((exchange) => exchange.downstream.local.port)],
  ["DOWNSTREAM_REMOTE_ADDRESS", plain((exchange) => address(remote(exchange)))],
  ["DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", plain((exchange) => remote(exchange).host)],
  ["DOWNSTREAM_DIRECT_REMOTE_ADDRESS", plain((exchange) => address(exchange.downstream.remote))],
  ["DOWNSTREAM_PEER_URI_SAN", plain((exchange) => exchange.downstream.peer?.spiffeId)],
  ["DOWNSTREAM_LOCAL_URI_SAN", absent],
  ["DOWNSTREAM_TLS_VERSION", plain((exchange) => exchange.downstream.tls?.version || undefined)],
  ["DOWNSTREAM_TLS_CIPHER", plain((exchange) => exchange.downstream.tls?.cipher)],
  ["REQUESTED_SERVER_NAME", plain((exchange) => exchange.downstream.serverName)],
  ["VIRTUAL_CLUSTER_NAME", absent],
  ["DYNAMIC_METADATA", absentWithArgument],
  ["FILTER_STATE", absentWithArgument],
  ["GRPC_STATUS", plain((exchange) => exchange.grpcStatus)],
  ["ROUTE_NAME", plain((exchange) => exchange.route?.name)],
  ["ROUTE_SOURCE", plain((exchange) => routeSource(exchange.route?.source))],
  ["DENIAL", plain((exchange) => exchange.denial)],
  ["DECIDED_BY", plain((exchange) => exchange.denial ?? routeSource(exchange.route?.source))],
  ["HOSTNAME", (_, context) => ({ ok: true, value: () => context.hostname })],
  [
    "ENVIRONMENT",
    (argument, context) => {
      if (argument === undefined) return { ok: false, why: "it needs the name of a variable" };
      const value = Object.hasOwn(context.environment, argument) ? context.environment[argument] : undefined;
      return { ok: true, value: () => value };
    },
  ],
]);

/** Envoy's word for an answer that came from upstream; the data path sets a detail only when something ended the request. */
function responseCodeDetails({ detail, upstream, status }: LogSubject): string | undefined {
  if (detail !== "") return detail.replaceAll(" ", "_");
  return upstream !== undefined && status !== 0 ? "via_upstream" : undefined;
}

function since(exchange: LogSubject, at: number): number | undefined {
  return at === 0 ? undefined : Math.round(at - exchange.startedAt);
}

/** As in Envoy, an address that somebody else saw has the port 0. */
function remote({ clientAddress, downstream }: LogSubject): SocketAddress {
  return clientAddress === undefined ? downstream.remote : { host: clientAddress, port: 0 };
}

function address({ host, port }: SocketAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

const sourceTexts = new WeakMap<Source, string>();

/** Formatted once per route, not per request; without spaces, because text lines are split at them. */
function routeSource(source: Source | undefined): string | undefined {
  if (source === undefined) return undefined;
  let text = sourceTexts.get(source);
  if (text === undefined) {
    text = formatSource(source).replace(" (", "(");
    sourceTexts.set(source, text);
  }
  return text;
}
