import type { AccessTest, TextMatch } from "../model/authorization.ts";
import type messages from "./generated/messages.js";
import { fromTextMatcher, toTextMatcher } from "./text-matcher.ts";
import type { Reading } from "./wire.ts";

type MetadataMatcher = messages.envoy.type.matcher.v3.MetadataMatcher;
type ValueMatcher = messages.envoy.type.matcher.v3.ValueMatcher;
type ClaimTest = Extract<AccessTest, { kind: "claim" }>;

/** The filter that leaves the payload of verified tokens, and under which key (Istio's payload_in_metadata). */
export const jwtFilter = "envoy.filters.http.jwt_authn";
export const payloadKey = "payload";

export function toClaimMatcher({ path, matches }: ClaimTest): MetadataMatcher {
  const texts = matches.map((match): ValueMatcher => ({ stringMatch: toTextMatcher(match) }));
  const anyOf = (values: ValueMatcher[]): ValueMatcher =>
    values.length === 1 ? values[0]! : { orMatch: { valueMatchers: values } };
  return {
    filter: jwtFilter,
    path: [payloadKey, ...path].map((key) => ({ key })),
    // A claim may be a text or a list of them.
    value: { orMatch: { valueMatchers: [...texts, { listMatch: { oneOf: anyOf(texts) } }] } },
  };
}

/** A problem is reported for metadata of other filters, which nobody here writes. */
export function fromClaimMatcher(wire: MetadataMatcher, path: string, reading: Reading): AccessTest {
  reading.refuseUnknown(wire, "envoy.type.matcher.v3.MetadataMatcher", path);
  const [first, ...claim] = (wire.path ?? []).map(({ key }) => key ?? "");
  const matches: TextMatch[] = [];
  if (wire.filter !== jwtFilter || first !== payloadKey || claim.length === 0)
    reading.problem(path, `asks for metadata that this version does not have (${wire.filter ?? ""})`);
  else collect(wire.value ?? {}, path, reading, matches);
  const unique = [...new Map(matches.map((match) => [JSON.stringify(match), match])).values()];
  const test: AccessTest = { kind: "claim", path: claim, matches: unique };
  return wire.invert ? { kind: "not", test } : test;
}

function collect(value: ValueMatcher, path: string, reading: Reading, into: TextMatch[]): void {
  if (value.orMatch)
    for (const inner of value.orMatch.valueMatchers ?? []) collect(inner, path, reading, into);
  else if (value.listMatch?.oneOf) collect(value.listMatch.oneOf, path, reading, into);
  else if (value.presentMatch) into.push({ kind: "present" });
  else {
    const match = fromTextMatcher(value.stringMatch, path, reading);
    if (match) into.push(match);
  }
}
