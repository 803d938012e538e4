import { setImmediate as nextTurn } from "node:timers/promises";
// Not the index: it also loads collectors and a push gateway, 2 MB of every sidecar's memory.
import Counter from "prom-client/lib/counter.js";
import Gauge from "prom-client/lib/gauge.js";
import Registry from "prom-client/lib/registry.js";

/** What one scrape answers. */
export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

export type MetricLabels = Readonly<Record<string, string>>;

/** A family whose numbers we keep ourselves, because they change on every request. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Read at each scrape. */
  samples(): Iterable<MetricSample>;
}

export interface MetricSample {
  /** Appended to the family's name: "_bucket", "_sum", "_count"; "" for the name itself. */
  readonly suffix: string;
  /** Labels that many samples share, so they are rendered once per object. */
  readonly labels: MetricLabels;
  /** A histogram's upper bound. */
  readonly le?: string;
  readonly value: number;
}

/** A counter of one label set, resolved once. */
export interface CounterChild {
  inc(by?: number): void;
}

/** The process's metrics: one registry of our own, never prom-client's global one. */
export class MetricRegistry {
  readonly #registry = new Registry();
  readonly #families: MetricFamily[] = [];

  /** A counter without labels. */
  counter(name: string, help: string): CounterChild {
    return new Counter({ name, help, registers: [this.#registry] });
  }

  /** A counter with one label; the result gives the child of a label value, which the caller should keep. */
  labelledCounter(name: string, help: string, label: string): (value: string) => CounterChild {
    const counter = new Counter({ name, help, labelNames: [label], registers: [this.#registry] });
    const children = new Map<string, CounterChild>();
    return (value) => {
      let child = children.get(value);
      if (child === undefined) {
        child = counter.labels({ [label]: value });
        children.set(value, child);
      }
      return child;
    };
  }

  /** A gauge that is read when somebody scrapes, so keeping it costs nothing. */
  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** A counter that somebody else keeps, read at each scrape. */
  readCounter(name: string, help: string, read: () => number): void {
    this.family({ name, help, type: "counter", samples: () => [{ suffix: "", labels: {}, value: read() }] });
  }

  /** A gauge of value 1 whose labels say it all, such as a version. */
  info(name: string, help: string, read: () => MetricLabels): void {
    this.family({
      name,
      help,
      type: "gauge",
      samples: () => [{ suffix: "", labels: read(), value: 1 }],
    });
  }

  /** Throws when the name is taken. */
  family(family: MetricFamily): void {
    const { name } = family;
    if (this.#families.some((other) => other.name === name) || this.#registry.getSingleMetric(name)) {
      throw new Error(`a metric named ${name} is registered already`);
    }
    this.#families.push(family);
  }

  /**
   * Prometheus' text format. Families are written in portions with the event loop running in between, because a thousand series are
   * tens of megabytes and requests must not wait for them; a series' own samples stay together, so that they agree.
   */
  async expose(): Promise<Exposition> {
    const texts = [await this.#registry.metrics()];
    for (const family of this.#families) {
      const lines = [`# HELP ${family.name} ${family.help}`, `# TYPE ${family.name} ${family.type}`];
      let labels: MetricLabels | undefined;
      let rendered = "";
      let sinceTurn = 0;
      for (const sample of family.samples()) {
        if (sample.labels !== labels) {
          if (sinceTurn > samplesPerTurn) {
            await nextTurn();
            sinceTurn = 0;
          }
          labels = sample.labels;
          rendered = renderLabels(labels);
        }
        sinceTurn++;
        lines.push(renderSample(family.name, sample, rendered));
      }
      texts.push(`${lines.join("\n")}\n`);
    }
    return { contentType: this.#registry.contentType, body: texts.join("\n") };
  }
}

/** About half a millisecond's work. */
const samplesPerTurn = 1000;

function renderSample(name: string, { suffix, le, value }: MetricSample, labels: string): string {
  const all = le === undefined ? labels : labels === "" ? `le="${le}"` : `le="${le}",${labels}`;
  return all === "" ? `${name}${suffix} ${value}` : `${name}${suffix}{${all}} ${value}`;
}

function renderLabels(labels: MetricLabels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replaceAll(/["\\\n]/g, escapeLabel)}"`)
    .join(",");
}

function escapeLabel(char: string): string {
  return char === "\n" ? "\\n" : `\\${char}`;
}
