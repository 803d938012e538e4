import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** What the control plane measures of itself; `/metrics` prints it. */
export interface ControlPlaneMetrics {
  readonly registry: Registry;
  /** A picture went to the proxies. */
  pushed(): void;
  /** All proxies run a change, this many ms after it was noticed. */
  settled(ms: number): void;
  acked(type: string): void;
  nacked(type: string): void;
  /** A workload asked for a certificate. */
  certified(outcome: "issued" | "refused"): void;
  /** Shows from now on when the authority's certificates end. */
  watchAuthority(read: () => readonly AuthorityExpiry[]): void;
}

/** Wall clock ms. */
export interface AuthorityExpiry {
  /** `waiting`, `signing` or `leaving`. */
  readonly phase: string;
  readonly root: number;
  readonly intermediate: number;
}

/** Read at each scrape. */
export interface MetricSources {
  readonly proxies: () => ReadonlyMap<string, number>;
  readonly resources: () => ReadonlyMap<string, number>;
  readonly problems: () => ReadonlyMap<string, number>;
}

export function createMetrics(sources: MetricSources): ControlPlaneMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const pushes = new Counter({
    name: "weft_config_push_total",
    help: "Pictures of the mesh that were pushed to the proxies.",
    registers,
  });
  const settled = new Histogram({
    name: "weft_config_ack_seconds",
    help: "From noticing a change until the last proxy answered it.",
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const answers = (name: string, help: string) =>
    new Counter({ name, help, labelNames: ["type"], registers });
  const acks = answers("weft_config_ack_total", "Responses that proxies accepted.");
  const nacks = answers("weft_config_nack_total", "Responses of which proxies refused something.");
  const gauge = (name: string, help: string, label: string, read: () => ReadonlyMap<string, number>) =>
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset();
        for (const [value, count] of read()) this.set({ [label]: value }, count);
      },
    });
  gauge("weft_proxies_connected", "Proxies with an open stream.", "kind", sources.proxies);
  gauge("weft_resources", "Live resources.", "kind", sources.resources);
  gauge("weft_problems", "Problems that are reported now.", "severity", sources.problems);
  const certificates = new Counter({
    name: "weft_ca_requests_total",
    help: "Workloads' requests for certificates.",
    labelNames: ["outcome"],
    registers,
  });
  return {
    registry,
    certified: (outcome) => certificates.inc({ outcome }),
    watchAuthority: (read) => {
      const ends = new Gauge({
        name: "weft_ca_expiry_timestamp_seconds",
        help: "When the authority's certificates end, Unix time.",
        labelNames: ["certificate", "phase"],
        registers,
        collect() {
          ends.reset();
          for (const { phase, root, intermediate } of read()) {
            ends.set({ certificate: "root", phase }, root / 1000);
            ends.set({ certificate: "intermediate", phase }, intermediate / 1000);
          }
        },
      });
    },
    pushed: () => pushes.inc(),
    settled: (ms) => settled.observe(ms / 1000),
    acked: (type) => acks.inc({ type }),
    nacked: (type) => nacks.inc({ type }),
  };
}
