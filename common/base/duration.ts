/** A duration in ms, or why the text is none: `why` and `hint` go into a Problem as they are. */
export type ParsedDuration =
  | { readonly ok: true; readonly ms: number }
  | { readonly ok: false; readonly why: string; readonly hint?: string };

/** The longest duration in ms: what a timer can wait (2^31 - 1 ms, almost 25 days). */
export const maxDurationMs = 2_147_483_647;

const nanosecondsPer: ReadonlyMap<string, number> = new Map([
  ["ns", 1],
  ["us", 1e3],
  ["µs", 1e3],
  ["μs", 1e3],
  ["ms", 1e6],
  ["s", 1e9],
  ["m", 60e9],
  ["h", 3600e9],
]);

const part = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/y;

/**
 * Reads a duration as Istio does: Go's time.ParseDuration (`1h30m`, `1.5s`, `100ms`, `0s`), not negative and in whole
 * milliseconds.
 */
export function parseDuration(text: string): ParsedDuration {
  if (text === "0") return { ok: true, ms: 0 };
  const quoted = JSON.stringify(text);
  if (text.startsWith("-"))
    return { ok: false, why: `${quoted} is negative`, hint: "a duration is 0s or more" };
  if (/^\d+(\.\d+)?$/.test(text)) {
    return {
      ok: false,
      why: `${quoted} is not a duration: it has no unit`,
      hint: `write ${text}s or ${text}ms`,
    };
  }
  const nanoseconds = countNanoseconds(text.startsWith("+") ? text.slice(1) : text);
  if (nanoseconds === undefined) {
    return { ok: false, why: `${quoted} is not a duration`, hint: "write it like 5s, 100ms, 1.5s or 1h30m" };
  }
  const ms = nanoseconds / 1e6;
  if (ms > maxDurationMs)
    return { ok: false, why: `${quoted} is too long`, hint: "the longest duration is 596h31m23s" };
  if (!Number.isInteger(ms)) {
    return {
      ok: false,
      why: `${quoted} is not a whole number of milliseconds`,
      hint: "the smallest unit that counts is 1ms",
    };
  }
  return { ok: true, ms };
}

/** The shortest text that parses back to `ms`, largest unit first: `1h30m`, `1.5s`, `100ms`, `0s`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return ms === 0 ? "0s" : `${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = (ms % 60_000) / 1000;
  return `${hours ? `${hours}h` : ""}${minutes ? `${minutes}m` : ""}${seconds ? `${seconds}s` : ""}`;
}

function countNanoseconds(text: string): number | undefined {
  let total = 0;
  part.lastIndex = 0;
  while (part.lastIndex < text.length) {
    const found = part.exec(text);
    if (found === null) return undefined;
    const whole = found[1] ?? "";
    const fraction = found[2] ?? "";
    if (whole === "" && fraction === "") return undefined;
    const unit = nanosecondsPer.get(found[3]!)!;
    // Digits below a nanosecond are dropped, as Go does.
    total += Number(whole) * unit + Math.floor(Number(`0.${fraction || "0"}`) * unit + 1e-6);
  }
  return text === "" ? undefined : total;
}
