import type { MetricRegistry } from "./metric-registry.ts";

/** What a proxy counts whose connections are captured. */
export interface CaptureView {
  /** DNS questions by where their answers came from. */
  readonly questions: Readonly<Record<string, number>>;
}

/** Read at each scrape. */
export function captureMetrics(registry: MetricRegistry, { questions }: CaptureView): void {
  registry.family({
    name: "weft_dns_questions_total",
    help: "DNS questions that were answered, by where the answer came from.",
    type: "counter",
    samples: () =>
      Object.entries(questions).map(([source, value]) => ({ suffix: "", labels: { source }, value })),
  });
}

/** `timeouts`: connections by listener. */
export function detectionMetrics(registry: MetricRegistry, timeouts: ReadonlyMap<string, number>): void {
  registry.family({
    name: "weft_protocol_detection_timeouts_total",
    help: "Connections that said too little in time to tell what they speak, by listener.",
    type: "counter",
    samples: () => Array.from(timeouts, ([listener, value]) => ({ suffix: "", labels: { listener }, value })),
  });
}
