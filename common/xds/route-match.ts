import type { ClaimMatch, HeaderMatch, PathMatch, QueryParamMatch, RouteMatch } from "../model/route.ts";
import type { StringMatch } from "../model/string-match.ts";
import { fromClaimMatcher, toClaimMatcher } from "./claim-matcher.ts";
import type messages from "./generated/messages.js";
import {
  fromRegexMatcher,
  fromStringMatcher,
  fromText,
  toRegexMatcher,
  toStringMatcher,
} from "./string-matcher.ts";
import type { Reading } from "./wire.ts";

type WireMatch = messages.envoy.config.route.v3.RouteMatch;
type HeaderMatcher = messages.envoy.config.route.v3.HeaderMatcher;
type MetadataMatcher = messages.envoy.type.matcher.v3.MetadataMatcher;
type QueryParameterMatcher = messages.envoy.config.route.v3.QueryParameterMatcher;

const routePackage = "envoy.config.route.v3";

/** In Envoy these are headers; in the model they are fields of their own. */
const pseudoHeaders = [
  [":method", "method"],
  [":scheme", "scheme"],
  [":authority", "authority"],
] as const;

export function toRouteMatch(match: RouteMatch): WireMatch {
  const pseudo: HeaderMatcher[] = [];
  for (const [name, field] of pseudoHeaders) {
    const value = match[field];
    if (value) pseudo.push({ name, stringMatch: toStringMatcher(value) });
  }
  return {
    ...toPath(match.path),
    headers: [...pseudo, ...match.headers.map(toHeaderMatcher)],
    queryParameters: match.queryParams.map(toQueryMatcher),
    ...(match.claims && match.claims.length > 0 ? { dynamicMetadata: match.claims.map(toClaim) } : {}),
  };
}

/**
 * Everything that narrows a match and is not understood is a problem: dropping it would let the route take requests that it was
 * never meant for.
 */
export function fromRouteMatch(
  match: WireMatch | null | undefined,
  path: string,
  reading: Reading,
): RouteMatch {
  if (!match) {
    reading.problem(path, "is missing");
    return { path: { kind: "any" }, headers: [], queryParams: [] };
  }
  reading.refuseUnknown(match, `${routePackage}.RouteMatch`, path);
  if (match.runtimeFraction)
    reading.problem(`${path}.runtimeFraction`, "matching a fraction of requests is not supported");
  const pseudo: { method?: StringMatch; scheme?: StringMatch; authority?: StringMatch } = {};
  const headers: HeaderMatch[] = [];
  for (const [index, matcher] of (match.headers ?? []).entries()) {
    const at = `${path}.headers[${index}]`;
    const read = fromHeaderMatcher(matcher, at, reading);
    const field = pseudoHeaders.find(([name]) => name === matcher.name)?.[1];
    const [only] = read;
    if (field === undefined && !matcher.name?.startsWith(":")) headers.push(...read);
    else if (field && read.length === 1 && only?.match && !only.invert && !pseudo[field])
      pseudo[field] = only.match;
    else reading.problem(at, `cannot test ${matcher.name} in this way`, "one comparison, not inverted");
  }
  return {
    path: fromPath(match, path, reading),
    ...pseudo,
    headers,
    queryParams: (match.queryParameters ?? []).flatMap((matcher, index) =>
      fromQueryMatcher(matcher, `${path}.queryParameters[${index}]`, reading),
    ),
    ...((match.dynamicMetadata ?? []).length > 0
      ? {
          claims: match.dynamicMetadata!.flatMap(
            (matcher, index) => fromClaim(matcher, `${path}.dynamicMetadata[${index}]`, reading) ?? [],
          ),
        }
      : {}),
  };
}

function toClaim({ path, match, invert }: ClaimMatch): MetadataMatcher {
  const matches = [match ?? ({ kind: "present" } as const)];
  return { ...toClaimMatcher({ kind: "claim", path, matches }), ...(invert ? { invert } : {}) };
}

/** Undefined after a problem was reported. */
function fromClaim(matcher: MetadataMatcher, path: string, reading: Reading): ClaimMatch | undefined {
  const test = fromClaimMatcher(matcher, path, reading);
  const claim = test.kind === "not" ? test.test : test;
  if (claim.kind !== "claim") return undefined;
  const [match, ...others] = claim.matches;
  const head = { path: claim.path, invert: test.kind === "not" };
  if (others.length === 0 && match?.kind === "present") return head;
  if (others.length === 0 && (match?.kind === "exact" || match?.kind === "prefix" || match?.kind === "regex"))
    return { ...head, match: { kind: match.kind, value: match.value } };
  reading.problem(path, "cannot be tested in this way");
  return undefined;
}

function toPath(path: PathMatch): WireMatch {
  if (path.kind === "any") return { prefix: "/" };
  if (path.kind === "regex") return { safeRegex: toRegexMatcher(path.value) };
  const value = path.kind === "exact" ? { path: path.value } : { prefix: path.value };
  return path.ignoreCase ? { ...value, caseSensitive: { value: false } } : value;
}

/** The prefixes "" and "/" match every path and are read as `any`. */
function fromPath(match: WireMatch, path: string, reading: Reading): PathMatch {
  const ignoreCase = match.caseSensitive != null && !match.caseSensitive.value;
  if (match.safeRegex)
    return { kind: "regex", value: fromRegexMatcher(match.safeRegex, `${path}.safeRegex`, reading) };
  if (typeof match.path === "string") return { kind: "exact", value: match.path, ignoreCase };
  if (typeof match.prefix === "string") {
    const matchesAll = match.prefix === "" || (match.prefix === "/" && !ignoreCase);
    return matchesAll ? { kind: "any" } : { kind: "prefix", value: match.prefix, ignoreCase };
  }
  reading.problem(
    path,
    "has no path comparison that this version understands",
    "use prefix, path or safe_regex",
  );
  return { kind: "any" };
}

function toHeaderMatcher(header: HeaderMatch): HeaderMatcher {
  const { name, match, invert } = header;
  if (!match) return { name, presentMatch: true, invertMatch: invert };
  if (!invert) return { name, stringMatch: toStringMatcher(match) };
  // Otherwise Envoy takes a missing header for one that fails the inverted test.
  return { name, stringMatch: toStringMatcher(match), invertMatch: true, treatMissingHeaderAsEmpty: true };
}

/**
 * In Envoy an inverted comparison still needs the header, unless `treat_missing_header_as_empty` says otherwise; in the
 * model it does not. So an Envoy matcher may become two of ours.
 */
export function fromHeaderMatcher(matcher: HeaderMatcher, path: string, reading: Reading): HeaderMatch[] {
  reading.refuseUnknown(matcher, `${routePackage}.HeaderMatcher`, path);
  if (matcher.rangeMatch) reading.problem(`${path}.rangeMatch`, "comparing numbers is not supported");
  const name = (matcher.name ?? "").toLowerCase();
  if (name === "") reading.problem(`${path}.name`, "is empty");
  const invert = matcher.invertMatch === true;
  const comparison = headerComparison(matcher, path, reading);
  if (comparison === "present" || comparison === "absent")
    return [{ name, invert: invert !== (comparison === "absent") }];
  if (comparison === undefined) return [];
  if (invert) {
    const negated = { name, match: comparison, invert };
    return matcher.treatMissingHeaderAsEmpty ? [negated] : [{ name, invert: false }, negated];
  }
  if (matcher.treatMissingHeaderAsEmpty) {
    reading.problem(`${path}.treatMissingHeaderAsEmpty`, "is supported on inverted comparisons only");
  }
  return [{ name, match: comparison, invert }];
}

function headerComparison(
  matcher: HeaderMatcher,
  path: string,
  reading: Reading,
): StringMatch | "present" | "absent" | undefined {
  if (matcher.stringMatch) return fromStringMatcher(matcher.stringMatch, `${path}.stringMatch`, reading);
  if (matcher.safeRegexMatch) {
    return {
      kind: "regex",
      value: fromRegexMatcher(matcher.safeRegexMatch, `${path}.safeRegexMatch`, reading),
    };
  }
  if (typeof matcher.presentMatch === "boolean") return matcher.presentMatch ? "present" : "absent";
  const older = {
    exact: matcher.exactMatch,
    prefix: matcher.prefixMatch,
    suffix: matcher.suffixMatch,
    contains: matcher.containsMatch,
  };
  if (Object.values(older).some((value) => typeof value === "string")) {
    return fromText({ ...older, ignoreCase: false }, path, reading);
  }
  // A matcher without a comparison means presence; one whose comparison we do not know was reported by refuseUnknown.
  return "present";
}

function toQueryMatcher(param: QueryParamMatch): QueryParameterMatcher {
  return param.match
    ? { name: param.name, stringMatch: toStringMatcher(param.match) }
    : { name: param.name, presentMatch: true };
}

function fromQueryMatcher(matcher: QueryParameterMatcher, path: string, reading: Reading): QueryParamMatch[] {
  reading.refuseUnknown(matcher, `${routePackage}.QueryParameterMatcher`, path);
  const name = matcher.name ?? "";
  if (matcher.stringMatch) {
    const match = fromStringMatcher(matcher.stringMatch, `${path}.stringMatch`, reading);
    return match ? [{ name, match }] : [];
  }
  if (matcher.presentMatch === false)
    reading.problem(`${path}.presentMatch`, "matching an absent parameter is not supported");
  return [{ name }];
}
