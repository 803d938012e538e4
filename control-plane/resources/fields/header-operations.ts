import { z } from "zod";
import type { HeaderOperations, HeaderPair } from "../../../common/model/route.ts";
import { noHeaderOperations } from "../../../common/model/route.ts";

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const framing = new Set([
  "connection",
  "content-length",
  "transfer-encoding",
  "upgrade",
  "te",
  "trailer",
  "keep-alive",
]);

/** A field name by RFC 9110 section 5.1. */
export function isHeaderName(name: string): boolean {
  return token.test(name);
}

/** True for the names by which Istio lets `headers.request.set` and `add` rewrite the authority. */
export function isAuthorityName(name: string): boolean {
  return name.toLowerCase() === "host" || name.toLowerCase() === ":authority";
}

const operationName = z.string().superRefine((name, context) => {
  if (isAuthorityName(name)) return;
  const quoted = JSON.stringify(name);
  if (name.startsWith(":")) {
    const params = { hint: "use rewrite for the path and the authority" };
    context.addIssue({
      code: "custom",
      message: `${quoted} is a pseudo header and cannot be changed`,
      params,
    });
  } else if (!isHeaderName(name)) {
    const params = { hint: "letters, digits and !#$%&'*+-.^_`|~" };
    context.addIssue({ code: "custom", message: `${quoted} is not a header name`, params });
  } else if (framing.has(name.toLowerCase())) {
    const params = { hint: "the proxies frame messages themselves" };
    context.addIssue({
      code: "custom",
      message: `${quoted} decides where a message ends and cannot be changed`,
      params,
    });
  }
});

const operationValue = z.string().superRefine((value, context) => {
  // What RFC 9110 section 5.5 calls field-content; anything else could split a message.
  if (/^[\t\x20-\x7e\x80-\uffff]*$/.test(value)) return;
  context.addIssue({ code: "custom", message: "holds a control character", params: { hint: "remove it" } });
});

const operations = z.strictObject({
  set: z.record(operationName, operationValue).optional(),
  add: z.record(operationName, operationValue).optional(),
  remove: z.array(operationName).optional(),
});

/** Istio's Headers: what to set, add and remove on requests and on responses. */
export const headersField = z.strictObject({
  request: operations.optional(),
  response: operations.optional(),
});

export type HeadersInput = z.infer<typeof headersField>;

/** Authority names are left out: they are a rewrite, see `authorityOf`. */
export function compileHeaderOperations(
  input: NonNullable<HeadersInput["request"]> | undefined,
): HeaderOperations {
  if (input === undefined) return noHeaderOperations;
  return {
    set: pairs(input.set),
    add: pairs(input.add),
    remove: (input.remove ?? []).map((name) => name.toLowerCase()),
  };
}

/** Every authority that `headers.request` sets or adds, with where it stands below `headers`. */
export function authoritiesOf(
  headers: HeadersInput | undefined,
): { readonly path: readonly string[]; readonly value: string }[] {
  const found: { path: readonly string[]; value: string }[] = [];
  for (const operation of ["set", "add"] as const) {
    for (const [name, value] of Object.entries(headers?.request?.[operation] ?? {})) {
      if (isAuthorityName(name)) found.push({ path: ["request", operation, name], value });
    }
  }
  return found;
}

function pairs(input: Readonly<Record<string, string>> | undefined): HeaderPair[] {
  return Object.entries(input ?? {}).filter(([name]) => !isAuthorityName(name));
}
