import type { Clock } from "../../common/base/clock.ts";
import { byteString } from "../../common/routing/byte-string.ts";
import type { Exchange, Response } from "../http/exchange.ts";

/** What a header value is made from. `response` is absent while the request is on its way. */
export interface HeaderScene {
  readonly exchange: Exchange;
  readonly response: Response | undefined;
  readonly clock: Clock;
}

/** A header value made ready: fixed text, or parts that are put together for each request. */
export type HeaderValue = string | ((scene: HeaderScene) => string);

/**
 * Reads a header value as Envoy does: `%OPERATOR%` and `%OPERATOR(argument)%` stand for something of the request, `%%` is a percent
 * sign. What is no known operator stays as it is written. A value that comes out empty means that the header is left out.
 */
export function compileHeaderValue(text: string): HeaderValue {
  const parts: HeaderValue[] = [];
  let literal = "";
  let last = 0;
  // Ours, not the user's pattern: operators are upper case with digits and underscores, an argument has no parenthesis.
  for (const found of text.matchAll(/%%|%([A-Z][A-Z0-9_]*)(?:\(([^()%]*)\))?%/g)) {
    literal += text.slice(last, found.index);
    last = found.index + found[0].length;
    const read = found[1] === undefined ? undefined : operator(found[1], found[2] ?? "");
    if (read === undefined) {
      literal += found[0] === "%%" ? "%" : found[0];
      continue;
    }
    parts.push(fieldText(literal), read);
    literal = "";
  }
  literal += text.slice(last);
  if (parts.length === 0) return fieldText(literal);
  parts.push(fieldText(literal));
  return (scene) => parts.map((part) => (typeof part === "string" ? part : part(scene))).join("");
}

/** The reader of an operator, undefined for a name that is none. Absent things are empty. */
function operator(name: string, argument: string): ((scene: HeaderScene) => string) | undefined {
  switch (name) {
    case "REQ":
      return requestField(argument);
    case "RESP": {
      const names = alternatives(argument);
      return ({ response }) => first(names, (field) => response?.headers.joined(field));
    }
    case "DOWNSTREAM_REMOTE_ADDRESS":
      return ({ exchange }) => `${exchange.downstream.remote.host}:${exchange.downstream.remote.port}`;
    case "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":
      return ({ exchange }) => exchange.downstream.remote.host;
    case "DOWNSTREAM_LOCAL_ADDRESS":
      return ({ exchange }) => `${exchange.downstream.local.host}:${exchange.downstream.local.port}`;
    case "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT":
      return ({ exchange }) => exchange.downstream.local.host;
    case "DOWNSTREAM_LOCAL_PORT":
      return ({ exchange }) => String(exchange.downstream.local.port);
    case "PROTOCOL":
      return ({ exchange }) => exchange.protocol;
    case "ROUTE_NAME":
      return ({ exchange }) => exchange.route?.name ?? "";
    case "UPSTREAM_CLUSTER":
      return ({ exchange }) => exchange.cluster;
    case "UPSTREAM_HOST":
    case "UPSTREAM_REMOTE_ADDRESS":
      return ({ exchange }) => exchange.upstream?.address ?? "";
    case "RESPONSE_CODE":
      return ({ response }) => (response === undefined ? "" : String(response.status));
    case "START_TIME":
      return ({ exchange, clock }) =>
        new Date(clock.now() - (clock.monotonic() - exchange.startedAt)).toISOString();
    default:
      return undefined;
  }
}

/** `%REQ(a?b)%`: the value of a, or of b when a is absent. */
function requestField(argument: string): (scene: HeaderScene) => string {
  const names = alternatives(argument);
  return ({ exchange }) =>
    first(names, (name) => {
      if (name === ":path") return exchange.path;
      if (name === ":method") return exchange.method;
      if (name === ":scheme") return exchange.scheme;
      if (name === ":authority" || name === "host") return exchange.authority;
      return exchange.headers.joined(name);
    });
}

function alternatives(argument: string): readonly string[] {
  return argument.toLowerCase().split("?");
}

function first(names: readonly string[], read: (name: string) => string | undefined): string {
  for (const name of names) {
    const value = read(name);
    if (value !== undefined) return value;
  }
  return "";
}

/** Text from a resource as bytes of a field value; what would end the line or the value becomes a space. */
function fieldText(text: string): string {
  return byteString(text).replaceAll(/[\0\r\n]/g, " ");
}
