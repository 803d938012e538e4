import type { Result } from "../../common/base/result.ts";
import { failed, ok } from "../../common/base/result.ts";
import type { JsonFormat, LineFormat } from "./access-log-format.ts";
import {
  compileJsonFormat,
  compileTextFormat,
  defaultJsonFormat,
  defaultShortFormat,
  defaultTextFormat,
} from "./access-log-format.ts";
import type { AccessLogContext } from "./access-log-operators.ts";
import type { LogSink } from "./log-sink.ts";
import type { LogSubject } from "./log-subject.ts";

/** How exchanges are logged. `format` absent means Istio's default for the encoding. */
export type AccessLogSettings =
  | { readonly encoding: "short" | "text"; readonly format?: string }
  | { readonly encoding: "json"; readonly format?: JsonFormat };

export const accessLogEncodings = ["short", "text", "json"] as const;

/** Compiles the format once; the result then writes one line per exchange or connection. Problems name the key of the format they are in. */
export function accessLog(
  settings: AccessLogSettings,
  sink: Pick<LogSink, "write">,
  context: AccessLogContext,
): Result<(subject: LogSubject) => void> {
  const format: Result<LineFormat> =
    settings.encoding === "json"
      ? compileJsonFormat(settings.format ?? defaultJsonFormat, context)
      : compileTextFormat(settings.format ?? defaultFormats[settings.encoding], context);
  if (!format.ok) return failed(format.problems);
  const print = format.value;
  return ok((subject) => sink.write(print(subject)));
}

const defaultFormats = { short: defaultShortFormat, text: defaultTextFormat };
