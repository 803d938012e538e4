import type { HeaderOperations, HeaderPair } from "../../common/model/route.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { Filter } from "./filter.ts";
import type { HeaderScene, HeaderValue } from "./header-value.ts";
import { compileHeaderValue } from "./header-value.ts";

/**
 * Sets, adds and removes header fields of the request and the response (Istio's `headers`). Those of the picked destination come
 * before the route's, as in Envoy, so the route has the last word. Setting Host changes the authority.
 */
export const headers: Filter = {
  name: "headers",
  build(route, { clock, destination }) {
    const changeRequest = compileOperations([destination?.requestHeaders, route.requestHeaders]);
    const changeResponse = compileOperations([destination?.responseHeaders, route.responseHeaders]);
    if (changeRequest === undefined && changeResponse === undefined) return undefined;
    return (next) => (exchange) => {
      changeRequest?.(exchange.headers, { exchange, response: undefined, clock });
      const answer = next(exchange);
      if (changeResponse === undefined) return answer;
      return answer.then((response) => {
        changeResponse(response.headers, { exchange, response, clock });
        return response;
      });
    };
  },
};

type HeaderChange = (headers: HeaderList, scene: HeaderScene) => void;

/** All operations in order, undefined when there are none. */
function compileOperations(all: readonly (HeaderOperations | undefined)[]): HeaderChange | undefined {
  const changes = all.flatMap((operations) => (operations === undefined ? [] : changesOf(operations)));
  if (changes.length === 0) return undefined;
  return (fields, scene) => {
    for (const change of changes) change(fields, scene);
  };
}

function changesOf({ remove, set, add }: HeaderOperations): HeaderChange[] {
  return [
    ...remove.filter((name) => !isOffLimits(name)).map((name) => removal(name.toLowerCase())),
    ...set.filter(([name]) => !isOffLimits(name)).map((pair) => assignment(pair, "set")),
    ...add.filter(([name]) => !isOffLimits(name)).map((pair) => assignment(pair, "add")),
  ];
}

function removal(name: string): HeaderChange {
  return (fields) => fields.remove(name);
}

function assignment([name, text]: HeaderPair, how: "set" | "add"): HeaderChange {
  const value = compileHeaderValue(text);
  if (isHost(name)) {
    return (_fields, scene) => {
      const authority = render(value, scene);
      if (scene.response === undefined && authority !== "") scene.exchange.authority = authority;
    };
  }
  return (fields, scene) => {
    const made = render(value, scene);
    if (made !== "") fields[how](name, made);
  };
}

function render(value: HeaderValue, scene: HeaderScene): string {
  return typeof value === "string" ? value : value(scene);
}

function isHost(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === "host" || lower === ":authority";
}

/** Fields that frame the message belong to the codec: a rule that could change them could smuggle a request. */
function isOffLimits(name: string): boolean {
  if (isHost(name)) return false;
  return name.startsWith(":") || !isToken.test(name) || framing.has(name.toLowerCase());
}

/** RFC 9110 5.6.2. */
const isToken = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

const framing: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
