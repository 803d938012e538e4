import { styleText } from "node:util";

/** What a part's output is written to: whole lines, each with the part's name in front. */
export interface LogSink {
  /** Text as it came, cut anywhere. */
  write(text: string): void;
  /** Writes what is left without a line end. */
  end(): void;
}

/** A line longer than this is cut into several: an app that never ends its line must not grow our memory. */
const maxLineLength = 64 * 1024;

const colors = [
  "cyan",
  "green",
  "yellow",
  "blue",
  "magenta",
  "greenBright",
  "cyanBright",
  "blueBright",
] as const;

/** Prefixes lines as `name | line`, names padded to one width, each part in a colour of its own. */
export class LogPrefix {
  readonly #width: number;
  readonly #isColored: boolean;
  readonly #out: (text: string) => void;
  #nextColor = 0;

  constructor(names: readonly string[], isColored: boolean, out: (text: string) => void) {
    this.#width = Math.max(...names.map((name) => name.length));
    this.#isColored = isColored;
    this.#out = out;
  }

  /** A sink for one stream of the part `name`. Sinks of one part share a colour when made from one `prefixFor`. */
  sink(prefix: string): LogSink {
    let rest = "";
    const line = (text: string): void => this.#out(`${prefix}${text}\n`);
    return {
      write: (text) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const whole of lines) line(whole.endsWith("\r") ? whole.slice(0, -1) : whole);
        while (rest.length > maxLineLength) {
          line(rest.slice(0, maxLineLength));
          rest = rest.slice(maxLineLength);
        }
      },
      end: () => {
        if (rest !== "") line(rest);
        rest = "";
      },
    };
  }

  /** `product-v1    | `, coloured on a terminal; every call takes the next colour. */
  prefixFor(name: string): string {
    const text = `${name.padEnd(this.#width)} | `;
    const color = colors[this.#nextColor++ % colors.length]!;
    return this.#isColored ? styleText(color, text, { validateStream: false }) : text;
  }
}
