import { hypotheticalRequest } from "../common/routing/hypothetical-request.ts";
import type { RequestView } from "../common/routing/request-view.ts";
import { wrongUse } from "./cli-error.ts";

/** The request that `weft explain METHOD URL -H …` describes, and the port that its URL names. Throws wrong use. */
export function requestFromArguments(
  method: string,
  url: string,
  headerTexts: readonly string[],
): { readonly request: RequestView; readonly port: number } {
  const headers = headerTexts.map((text): [string, string] => {
    const colon = text.indexOf(":");
    if (colon < 1) throw wrongUse(`weft explain: -H ${JSON.stringify(text)} is not 'name: value'`);
    return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()];
  });
  const request = hypotheticalRequest({ method: method.toUpperCase(), url, headers });
  if (!request.ok) {
    const [problem] = request.problems;
    throw wrongUse(
      `weft explain: ${problem?.why ?? "the URL cannot be read"}${problem?.hint ? `; ${problem.hint}` : ""}`,
    );
  }
  const port = /^(?:[^:/]+:\/\/)?[^/?#]*:(\d+)(?:[/?#]|$)/.exec(url)?.[1];
  const { scheme } = request.value;
  return {
    request: request.value,
    port: port === undefined ? (scheme === "https" ? 443 : 80) : Number(port),
  };
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
