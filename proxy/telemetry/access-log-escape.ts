/** Longest value that an operator prints unless its own `:N` says less, in characters. */
export const maxValueLength = 2048;

// Everything but printable ASCII, and what ends or escapes a quoted string.
const unsafeInText = /[^\x20-\x7e]|["\\]/;
const unsafeInTextAll = /[^\x20-\x7e]|["\\]/g;

/**
 * A value that came from outside, safe in a line of text: no line break, no terminal escape, no closing quote gets through.
 * Values are one char per byte, so a byte becomes `\xHH`.
 */
export function escapeText(value: string): string {
  const bounded = cut(value);
  return unsafeInText.test(bounded) ? bounded.replace(unsafeInTextAll, escapeOne) : bounded;
}

// C1 controls, line separators and direction overrides, which JSON leaves as they are.
const invisible = /[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A value that came from outside as a JSON string. Bytes are read as UTF-8; those that are none become U+FFFD. */
export function escapeJson(value: string): string {
  const bounded = cut(value);
  if (!unsafeInText.test(bounded)) return `"${bounded}"`;
  const text = /[\x80-\xff]/.test(bounded) ? Buffer.from(bounded, "latin1").toString("utf8") : bounded;
  return JSON.stringify(text).replace(
    invisible,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function cut(value: string): string {
  return value.length <= maxValueLength ? value : `${value.slice(0, maxValueLength)}...`;
}

function escapeOne(char: string): string {
  switch (char) {
    case '"':
      return '\\"';
    case "\\":
      return "\\\\";
    case "\n":
      return "\\n";
    case "\r":
      return "\\r";
    case "\t":
      return "\\t";
    default: {
      const code = char.charCodeAt(0);
      return code <= 0xff
        ? `\\x${code.toString(16).padStart(2, "0")}`
        : `\\u${code.toString(16).padStart(4, "0")}`;
    }
  }
}
