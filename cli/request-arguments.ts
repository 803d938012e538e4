import { hypotheticalRequest } from "../common/routing/hypothetical-request.ts";
import { wrongUse } from "./cli-error.ts";

/**
 * The headers of `weft explain METHOD URL -H …` as the control plane is asked about them: each name as first written, with
 * all its values. Throws wrong use for what is no request.
 */
export function checkedHeaders(
  method: string,
  url: string,
  headerTexts: readonly string[],
): Readonly<Record<string, readonly string[]>> {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method))
    throw wrongUse(`weft explain: ${JSON.stringify(method)} is not an HTTP method`);
  const headers = headerTexts.map((text): [string, string] => {
    const colon = text.indexOf(":");
    if (colon < 1) throw wrongUse(`weft explain: -H ${JSON.stringify(text)} is not 'name: value'`);
    return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
  });
  const request = hypotheticalRequest({ method, url, headers });
  if (!request.ok) {
    const [problem] = request.problems;
    throw wrongUse(
      `weft explain: ${problem?.why ?? "the URL cannot be read"}${problem?.hint ? `; ${problem.hint}` : ""}`,
    );
  }
  const byName = Map.groupBy(headers, ([name]) => name);
  return Object.fromEntries([...byName].map(([name, all]) => [name, all.map(([, value]) => value)]));
}

/** `k=v,…` as labels. Throws wrong use naming the option. */
export function labelsFromArgument(option: string, text: string): Readonly<Record<string, string>> {
  const pairs = text
    .split(",")
    .map((pair) => pair.trim())
    .filter((pair) => pair !== "")
    .map((pair): [string, string] => {
      const equals = pair.indexOf("=");
      if (equals < 1) throw wrongUse(`weft explain: ${option} ${JSON.stringify(text)} is not k=v,…`);
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    });
  return Object.fromEntries(pairs);
}
