/** Prints a wall-clock time in ms since the epoch. */
export type TimeFormat = (ms: number) => string;

/** ISO 8601 in UTC; the part down to the second is kept, because thousands of requests share it. */
function isoFormat(): TimeFormat {
  let second = Number.NaN;
  let untilSecond = "";
  return (ms) => {
    const rounded = Math.floor(ms / 1000);
    if (rounded !== second) {
      second = rounded;
      untilSecond = new Date(rounded * 1000).toISOString().slice(0, 20);
    }
    return `${untilSecond}${String(Math.floor(ms - rounded * 1000)).padStart(3, "0")}Z`;
  };
}

/**
 * Envoy's date format: strftime's conversions in UTC, and `%f`, `%Nf` for N digits of the second's fraction. Empty means ISO 8601
 * with milliseconds. Undefined when a conversion is not known.
 */
export function timeFormat(pattern: string): TimeFormat | undefined {
  if (pattern === "") return isoFormat();
  const parts: TimeFormat[] = [];
  for (const [piece, digits, letter] of pattern.matchAll(/%(\d?)(.)|[^%]+|%$/gs)) {
    if (letter === undefined) {
      if (piece === "%") return undefined;
      parts.push(() => piece);
    } else if (letter === "f") {
      const width = digits === "" || digits === undefined ? 9 : Number(digits);
      parts.push((ms) => fraction(ms, width));
    } else {
      const conversion = conversions.get(letter);
      if (conversion === undefined || digits !== "") return undefined;
      parts.push((ms) => conversion(new Date(ms)));
    }
  }
  return (ms) => parts.map((part) => part(ms)).join("");
}

const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const months = "January February March April May June July August September October November December".split(
  " ",
);

const conversions: ReadonlyMap<string, (at: Date) => string> = new Map<string, (at: Date) => string>([
  ["Y", (at) => String(at.getUTCFullYear())],
  ["y", (at) => two(at.getUTCFullYear() % 100)],
  ["m", (at) => two(at.getUTCMonth() + 1)],
  ["d", (at) => two(at.getUTCDate())],
  ["e", (at) => String(at.getUTCDate()).padStart(2)],
  ["H", (at) => two(at.getUTCHours())],
  ["I", (at) => two(at.getUTCHours() % 12 || 12)],
  ["M", (at) => two(at.getUTCMinutes())],
  ["S", (at) => two(at.getUTCSeconds())],
  ["p", (at) => (at.getUTCHours() < 12 ? "AM" : "PM")],
  ["s", (at) => String(Math.floor(at.getTime() / 1000))],
  ["a", (at) => days[at.getUTCDay()]!.slice(0, 3)],
  ["A", (at) => days[at.getUTCDay()]!],
  ["b", (at) => months[at.getUTCMonth()]!.slice(0, 3)],
  ["B", (at) => months[at.getUTCMonth()]!],
  ["F", (at) => at.toISOString().slice(0, 10)],
  ["T", (at) => at.toISOString().slice(11, 19)],
  ["D", (at) => `${two(at.getUTCMonth() + 1)}/${two(at.getUTCDate())}/${two(at.getUTCFullYear() % 100)}`],
  ["z", () => "+0000"],
  ["Z", () => "UTC"],
  ["%", () => "%"],
]);

function two(value: number): string {
  return String(value).padStart(2, "0");
}

function fraction(ms: number, digits: number): string {
  const nanoseconds = String(Math.floor((((ms % 1000) + 1000) % 1000) * 1e6)).padStart(9, "0");
  return nanoseconds.slice(0, digits);
}
