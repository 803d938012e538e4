import type { RequestView } from "../common/routing/request-view.ts";
import { wrongUse } from "./cli-error.ts";

/**
 * The request that `weft explain METHOD URL -H …` describes, as a proxy would see it. The path is kept as written and not
 * tidied up, since that is what a proxy gets. Throws wrong use.
 */
export function requestFromArguments(
  method: string,
  url: string,
  headerTexts: readonly string[],
): RequestView & { readonly port: number } {
  const parts = /^(https?):\/\/([^/?#\s]+)([^#\s]*)/i.exec(url);
  if (parts === null) {
    throw wrongUse(
      `weft explain: ${JSON.stringify(url)} is not a URL; write it like http://review:9080/reviews/1`,
    );
  }
  const [, scheme = "http", authority = "", rest = ""] = parts;
  const headers = new Map<string, string>();
  for (const text of headerTexts) {
    const colon = text.indexOf(":");
    if (colon < 1) {
      throw wrongUse(`weft explain: -H ${JSON.stringify(text)} is not 'name: value'`);
    }
    const name = text.slice(0, colon).trim().toLowerCase();
    const value = bytes(text.slice(colon + 1).trim());
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before},${value}`);
  }
  const host = headers.get("host") ?? authority;
  const port = /:(\d+)$/.exec(authority)?.[1];
  return {
    method: method.toUpperCase(),
    scheme: scheme.toLowerCase(),
    authority: host,
    path: bytes(rest.startsWith("/") ? rest : `/${rest}`),
    header: (name) => headers.get(name),
    port: port === undefined ? (scheme.toLowerCase() === "https" ? 443 : 80) : Number(port),
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

/** One char per byte, as the matcher compares. */
function bytes(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
