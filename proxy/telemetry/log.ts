import type { Logger } from "pino";
import { pino } from "pino";
import { logLineForPeople } from "../../common/base/log-line.ts";

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];
export const logFormats = ["text", "json"] as const;
export type LogFormat = (typeof logFormats)[number];

/** The proxy's own log. `fields` go into the JSON line beside the message; an Error goes under `err`. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds `fields` to each line; its level follows this one's. */
  child(fields: LogFields): Log;
  readonly level: LogLevel;
  setLevel(level: LogLevel): void;
}

export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Lines to stderr, so that stdout stays the access log's: JSON for machines, or text for people who know whose log they read.
 */
export function createLog(
  level: LogLevel,
  write: (line: string) => void = (line) => process.stderr.write(line),
  format: LogFormat = "json",
): Log {
  // Levels are checked here and not in pino, because pino's children do not follow their parent's level.
  const shared = { level };
  const root = pino(
    {
      level: "trace",
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: format === "json" ? write : (line: string) => write(logLineForPeople(line, ["proxy"])) },
  );
  return wrap(root, shared);
}

export function isLogLevel(text: string): text is LogLevel {
  return (logLevels as readonly string[]).includes(text);
}

type PinoLog = Pick<Logger, "debug" | "info" | "warn" | "error"> & { child(fields: object): PinoLog };

function wrap(log: PinoLog, shared: { level: LogLevel }): Log {
  const at = (level: "debug" | "info" | "warn" | "error") => (message: string, fields?: LogFields) => {
    if (logLevels.indexOf(level) >= logLevels.indexOf(shared.level)) log[level](fields ?? {}, message);
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => wrap(log.child(fields), shared),
    get level() {
      return shared.level;
    },
    setLevel: (level) => {
      shared.level = level;
    },
  };
}
