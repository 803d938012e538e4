import type { JwtProvider } from "../../common/model/authentication.ts";
import { defaultJwtHeader, defaultJwtParam } from "../../common/model/authentication.ts";
import { queryParam } from "../../common/routing/request-view.ts";
import type { Exchange } from "../http/exchange.ts";

/** Where one issuer's tokens are looked for, and taken away before the application sees the request. */
export class TokenPlaces {
  readonly #headers: JwtProvider["fromHeaders"];
  readonly #params: readonly string[];
  readonly #cookies: readonly string[];

  constructor({ fromHeaders, fromParams, fromCookies }: JwtProvider) {
    const isDefault = fromHeaders.length + fromParams.length + fromCookies.length === 0;
    this.#headers = isDefault ? [defaultJwtHeader] : fromHeaders;
    this.#params = isDefault ? [defaultJwtParam] : fromParams;
    this.#cookies = fromCookies;
  }

  /** Every token there, each once. */
  find(exchange: Exchange): readonly string[] {
    const found = new Set<string>();
    const { raw } = exchange.headers;
    for (const { name, prefix } of this.#headers) {
      for (let i = 0; i < raw.length; i += 2) {
        if (raw[i]!.toLowerCase() === name && startsWith(raw[i + 1]!, prefix))
          found.add(raw[i + 1]!.slice(prefix.length).trim());
      }
    }
    for (const name of this.#params) {
      const value = queryParam(exchange.path, name);
      if (value !== undefined && value !== "") found.add(value);
    }
    for (const name of this.#cookies)
      for (const cookie of cookiesOf(exchange))
        if (cookie.name === name && cookie.value) found.add(cookie.value);
    found.delete("");
    return [...found];
  }

  /** Takes the token away from everywhere. */
  remove(exchange: Exchange): void {
    for (const { name, prefix } of this.#headers) {
      if (startsWith(exchange.headers.get(name) ?? "", prefix)) exchange.headers.remove(name);
    }
    for (const name of this.#params) exchange.path = withoutParam(exchange.path, name);
    if (this.#cookies.length === 0) return;
    const all = cookiesOf(exchange);
    const kept = all.filter(({ name }) => !this.#cookies.includes(name));
    if (kept.length === all.length) return;
    exchange.headers.remove("cookie");
    if (kept.length > 0)
      exchange.headers.add("cookie", kept.map(({ name, value }) => `${name}=${value}`).join("; "));
  }
}

/** The scheme of Authorization has no case (RFC 9110 11.1). */
function startsWith(value: string, prefix: string): boolean {
  return value.slice(0, prefix.length).toLowerCase() === prefix.toLowerCase();
}

function cookiesOf({ headers }: Exchange): readonly { readonly name: string; readonly value: string }[] {
  const text = headers.raw.flatMap((name, index) =>
    index % 2 === 0 && name.toLowerCase() === "cookie" ? [headers.raw[index + 1]!] : [],
  );
  return text
    .join(";")
    .split(";")
    .flatMap((pair) => {
      const equals = pair.indexOf("=");
      return equals === -1
        ? []
        : [{ name: pair.slice(0, equals).trim(), value: pair.slice(equals + 1).trim() }];
    });
}

function withoutParam(target: string, name: string): string {
  const question = target.indexOf("?");
  if (question === -1) return target;
  const all = target.slice(question + 1).split("&");
  const kept = all.filter((pair) => pair !== name && !pair.startsWith(`${name}=`));
  if (kept.length === all.length) return target;
  return target.slice(0, question) + (kept.length === 0 ? "" : `?${kept.join("&")}`);
}
