import type { Result } from "../base/result.ts";
import { failed, ok } from "../base/result.ts";
import { byteString } from "./byte-string.ts";
import type { RequestView } from "./request-view.ts";

/** A request as a person describes it. */
export interface RequestDescription {
  readonly method: string;
  /** Absolute (`http://reviews:9080/a?b`), or without a scheme, which means http. A fragment is dropped. */
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** Makes the request that a proxy would read from the wire; a Host header has its way over the URL's host. */
export function hypotheticalRequest({ method, url, headers }: RequestDescription): Result<RequestView> {
  const found = /^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/)?([^/?#]*)([^#]*)/.exec(url)!;
  const scheme = (found[1] ?? "http").toLowerCase();
  if (scheme !== "http" && scheme !== "https") {
    return failed([
      { path: "url", why: `scheme ${JSON.stringify(scheme)} is not routed`, hint: "use http or https" },
    ]);
  }
  const fields = joinedFields(headers);
  const authority = fields.get("host") ?? byteString(found[2]!);
  fields.delete("host");
  if (authority === "") {
    return failed([
      { path: "url", why: `${JSON.stringify(url)} names no host`, hint: "write http://HOST/PATH" },
    ]);
  }
  const target = byteString(found[3]!);
  const path = target.startsWith("/") ? target : `/${target}`;
  return ok({ method, scheme, authority, path, header: (name) => fields.get(name) });
}

function joinedFields(headers: RequestDescription["headers"]): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [name, text] of headers) {
    const lower = name.toLowerCase();
    const value = byteString(text);
    const before = fields.get(lower);
    fields.set(lower, before === undefined ? value : `${before},${value}`);
  }
  return fields;
}
