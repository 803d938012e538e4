interface LogRecord {
  readonly time: string;
  readonly level: string;
  readonly msg?: string;
  readonly err?: { readonly stack?: string; readonly message?: string };
  readonly [field: string]: unknown;
}

/**
 * Turns a JSON log line into one for people: time of day (UTC), level, message, the fields as `name: value`, and
 * an error's stack. `hidden` names the fields that the reader knows already, such as who wrote the line; "all" leaves the
 * message alone.
 */
export function logLineForPeople(json: string, hidden: "all" | readonly string[]): string {
  const { time, level, msg = "", err, ...fields } = JSON.parse(json) as LogRecord;
  const shown = hidden === "all" ? [] : Object.entries(fields).filter(([name]) => !hidden.includes(name));
  const details = shown.map(([name, value]) => `${name}: ${textOf(value)}`).join(", ");
  const cause = err === undefined ? "" : `: ${err.stack ?? err.message ?? ""}`;
  return `${time.slice(11, 23)} ${level.padEnd(5)} ${msg}${details === "" ? "" : ` (${details})`}${cause}\n`;
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(textOf).join("; ");
  return typeof value === "string" ? value : JSON.stringify(value);
}
