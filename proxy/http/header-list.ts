import { meshError } from "../errors.ts";

/**
 * Header fields as a flat list of raw name/value pairs: `[name, value, name, value, …]` with order, case and repetition kept.
 * Look-ups ignore case and take a lower-case name. Values are one char per byte (latin1).
 */
export class HeaderList {
  /** The pairs; codecs read and write it directly. */
  readonly raw: string[];

  constructor(raw: string[] = []) {
    this.raw = raw;
  }

  /** The first value of `name` (lower case), or undefined. */
  get(name: string): string | undefined {
    const raw = this.raw;
    for (let i = 0; i < raw.length; i += 2) {
      if (sameName(raw[i]!, name)) return raw[i + 1];
    }
    return undefined;
  }

  /**
   * All values of `name` joined with "," as Envoy's matcher sees them, or undefined when absent (cases 35 and 36 of the
   * threat list: every value must be considered).
   */
  joined(name: string): string | undefined {
    const raw = this.raw;
    let found: string | undefined;
    for (let i = 0; i < raw.length; i += 2) {
      if (sameName(raw[i]!, name)) found = found === undefined ? raw[i + 1]! : `${found},${raw[i + 1]!}`;
    }
    return found;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /**
   * Replaces the first occurrence of `name` and drops the others, or appends; `name` keeps the case given here. Throws MeshError
   * `internal` for what would not stay one field on the wire.
   */
  set(name: string, value: string): void {
    checkField(name, value);
    const lower = name.toLowerCase();
    const raw = this.raw;
    for (let i = 0; i < raw.length; i += 2) {
      if (sameName(raw[i]!, lower)) {
        raw[i + 1] = value;
        for (let j = raw.length - 2; j > i; j -= 2) {
          if (sameName(raw[j]!, lower)) raw.splice(j, 2);
        }
        return;
      }
    }
    raw.push(name, value);
  }

  /** Appends; throws as `set` does. */
  add(name: string, value: string): void {
    checkField(name, value);
    this.raw.push(name, value);
  }

  /** Removes every occurrence of `name` (lower case). */
  remove(name: string): void {
    const raw = this.raw;
    for (let i = raw.length - 2; i >= 0; i -= 2) {
      if (sameName(raw[i]!, name)) raw.splice(i, 2);
    }
  }

  clone(): HeaderList {
    return new HeaderList(this.raw.slice());
  }
}

function sameName(raw: string, lower: string): boolean {
  return raw.length === lower.length && (raw === lower || raw.toLowerCase() === lower);
}

// Controls end a line; beyond one octet latin1 would cut a character down to anything, also to CR or LF.
const unsafeName = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/;
const unsafeValue = /[^\t\x20-\x7e\x80-\xff]/;

function checkField(name: string, value: string): void {
  if (name === "" || unsafeName.test(name) || unsafeValue.test(value))
    throw meshError("internal", "unsafe_header");
}
