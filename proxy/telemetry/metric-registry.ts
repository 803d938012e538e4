import { Counter, Gauge, Registry } from "prom-client";

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

  family(family: MetricFamily): void {
    const { name, help, type } = family;
    const get = async () => ({
      name,
      help,
      type,
      aggregator: "sum",
      values: Array.from(family.samples(), (sample) => ({
        metricName: name + sample.suffix,
        labels: sample.le === undefined ? {} : { le: sample.le },
        sharedLabels: sample.labels,
        value: sample.value,
      })),
    });
    // The registry asks a metric for nothing but `name`, `type` and `get()`; its type wants one of its own classes.
    this.#registry.registerMetric({ name, help, type, get, reset() {} } as unknown as Counter);
  }

  async expose(): Promise<Exposition> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}
