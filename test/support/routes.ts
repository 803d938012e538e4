import type { PathMatch, Route, RouteMatch, VirtualHost } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import type { RequestView } from "../../common/routing/request-view.ts";

/** Routes and requests for tests: the plainest that exist, with what a test cares about laid over them. */

export const anyPath: PathMatch = { kind: "any" };

export function prefix(value: string, ignoreCase = false): PathMatch {
  return { kind: "prefix", value, ignoreCase };
}

export function exact(value: string, ignoreCase = false): PathMatch {
  return { kind: "exact", value, ignoreCase };
}

export function plainRoute(name: string, match: Partial<RouteMatch> = {}, rest: Partial<Route> = {}): Route {
  return {
    name,
    match: { path: anyPath, headers: [], queryParams: [], ...match },
    action: {
      kind: "forward",
      destinations: [
        {
          destination: `outbound|80||${name}`,
          weight: 100,
          requestHeaders: noHeaderOperations,
          responseHeaders: noHeaderOperations,
        },
      ],
      mirrors: [],
    },
    requestHeaders: noHeaderOperations,
    responseHeaders: noHeaderOperations,
    ...rest,
  };
}

export function virtualHost(name: string, domains: readonly string[], routes: readonly Route[]): VirtualHost {
  return { name, domains, routes };
}

/** `headers`: lower-case names; repeated values already joined with ",". */
export function plainRequest(
  path: string,
  headers: Readonly<Record<string, string>> = {},
  rest: Partial<RequestView> = {},
): RequestView {
  const values = new Map(Object.entries(headers));
  return {
    method: "GET",
    scheme: "http",
    authority: "reviews",
    path,
    header: (name) => values.get(name),
    ...rest,
  };
}
