import type { Problem } from "../base/problem.ts";
import type { Route, RouteMatch, VirtualHost } from "../model/route.ts";
import type { StringMatch } from "../model/string-match.ts";
import { RegexError, regexProblem } from "./regex.ts";
import { compilePathRewrite } from "./rewrite-path.ts";

/**
 * Everything for which a virtual host's routes could not be compiled: patterns that RE2 refuses, substitutions that name groups which
 * do not exist, splits that lead nowhere. Whoever takes routes from elsewhere asks this first; after it compiling does not throw.
 */
export function checkRoutes(virtualHost: Pick<VirtualHost, "routes">): readonly Problem[] {
  return virtualHost.routes.flatMap((route, index) => checkRoute(route, `routes[${index}]`));
}

function checkRoute(route: Route, path: string): Problem[] {
  return [
    ...matchPatterns(route.match, `${path}.match`).flatMap(checkPattern),
    ...(route.cors?.allowOrigins ?? []).flatMap((match, index) =>
      checkPattern({ path: `${path}.cors.allowOrigins[${index}]`, match }),
    ),
    ...checkAction(route, `${path}.action`),
  ];
}

interface PlacedMatch {
  readonly path: string;
  readonly match: StringMatch | RouteMatch["path"] | undefined;
}

function matchPatterns(match: RouteMatch, path: string): PlacedMatch[] {
  const { method, scheme, authority, headers, queryParams, claims = [] } = match;
  return [
    { path: `${path}.path`, match: match.path },
    { path: `${path}.method`, match: method },
    { path: `${path}.scheme`, match: scheme },
    { path: `${path}.authority`, match: authority },
    ...headers.map((header, index) => ({ path: `${path}.headers[${index}]`, match: header.match })),
    ...queryParams.map((param, index) => ({ path: `${path}.queryParams[${index}]`, match: param.match })),
    ...claims.map((claim, index) => ({ path: `${path}.claims[${index}]`, match: claim.match })),
  ];
}

function checkPattern({ path, match }: PlacedMatch): Problem[] {
  const why = match?.kind === "regex" ? regexProblem(match.value) : undefined;
  return why === undefined ? [] : [{ path, why }];
}

function checkAction({ match, action }: Route, path: string): Problem[] {
  if (action.kind !== "forward") return [];
  const problems: Problem[] = [];
  const weights = action.destinations.map(({ weight }) => weight);
  if (weights.length === 0) problems.push({ path: `${path}.destinations`, why: "there is no destination" });
  else if (weights.some((weight) => !Number.isFinite(weight) || weight < 0)) {
    problems.push({ path: `${path}.destinations`, why: "a weight is not a number from 0 up" });
  } else if (weights.every((weight) => weight === 0)) {
    problems.push({ path: `${path}.destinations`, why: "the weights add up to 0" });
  }
  const why = action.rewrite && rewriteProblem(() => compilePathRewrite(match.path, action.rewrite!));
  if (why !== undefined) problems.push({ path: `${path}.rewrite`, why });
  return problems;
}

function rewriteProblem(compile: () => unknown): string | undefined {
  try {
    compile();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof RegexError) return thrown.message;
    throw thrown;
  }
}
