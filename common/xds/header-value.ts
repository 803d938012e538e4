import type { HeaderOperations, HeaderPair } from "../model/route.ts";
import { noHeaderOperations } from "../model/route.ts";
import type messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";

type HeaderValueOption = messages.envoy.config.core.v3.HeaderValueOption;

const appendOrAdd = 0;
const overwriteOrAdd = 2;

/** The four fields by which routes and weighted clusters change headers; they are named alike in all messages. */
export interface HeaderFields {
  requestHeadersToAdd?: HeaderValueOption[] | null | undefined;
  requestHeadersToRemove?: string[] | null | undefined;
  responseHeadersToAdd?: HeaderValueOption[] | null | undefined;
  responseHeadersToRemove?: string[] | null | undefined;
}

/** `request.set` and `request.add` must not hold the Host header, which Envoy allows to change by a rewrite only. */
export function toHeaderFields(request: HeaderOperations, response: HeaderOperations): HeaderFields {
  return {
    requestHeadersToAdd: toOptions(request),
    requestHeadersToRemove: [...request.remove],
    responseHeadersToAdd: toOptions(response),
    responseHeadersToRemove: [...response.remove],
  };
}

export function fromHeaderFields(
  fields: HeaderFields,
  path: string,
  reading: Reading,
): { readonly requestHeaders: HeaderOperations; readonly responseHeaders: HeaderOperations } {
  return {
    requestHeaders: fromOptions(
      fields.requestHeadersToAdd,
      fields.requestHeadersToRemove,
      `${path}.requestHeadersToAdd`,
      reading,
    ),
    responseHeaders: fromOptions(
      fields.responseHeadersToAdd,
      fields.responseHeadersToRemove,
      `${path}.responseHeadersToAdd`,
      reading,
    ),
  };
}

export function hasHeaderOperations(operations: HeaderOperations): boolean {
  return operations.set.length + operations.add.length + operations.remove.length > 0;
}

function toOptions(operations: HeaderOperations): HeaderValueOption[] {
  return [
    ...operations.set.map((pair) => toOption(pair, overwriteOrAdd)),
    ...operations.add.map((pair) => toOption(pair, appendOrAdd)),
  ];
}

function toOption([key, value]: HeaderPair, appendAction: 0 | 2): HeaderValueOption {
  // Without keep_empty_value Envoy drops a header that is set to nothing.
  return { header: { key, value }, appendAction, keepEmptyValue: value === "" };
}

function fromOptions(
  options: readonly HeaderValueOption[] | null | undefined,
  remove: readonly string[] | null | undefined,
  path: string,
  reading: Reading,
): HeaderOperations {
  const set: HeaderPair[] = [];
  const add: HeaderPair[] = [];
  for (const [index, option] of (options ?? []).entries()) {
    const key = option.header?.key ?? "";
    const pair: HeaderPair = [key, option.header?.value || rawValue(option)];
    const action = appendAction(option);
    if (key === "") reading.problem(`${path}[${index}].header.key`, "is empty");
    else if (pair[1] === "" && !option.keepEmptyValue) continue;
    else if (action === overwriteOrAdd) set.push(pair);
    else if (action === appendOrAdd) add.push(pair);
    else
      reading.problem(
        `${path}[${index}].appendAction`,
        `${action} is not supported`,
        "use APPEND or OVERWRITE",
      );
  }
  if (set.length + add.length === 0 && !remove?.length) return noHeaderOperations;
  return { set, add, remove: (remove ?? []).map((name) => name.toLowerCase()) };
}

function rawValue(option: HeaderValueOption): string {
  return Buffer.from(option.header?.rawValue ?? []).toString("latin1");
}

/** The older `append` wrapper wins when it is there, as in Envoy. */
function appendAction(option: HeaderValueOption): number {
  if (option.append) return option.append.value ? appendOrAdd : overwriteOrAdd;
  return option.appendAction ?? appendOrAdd;
}
