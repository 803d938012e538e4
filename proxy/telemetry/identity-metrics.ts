import type { MetricRegistry } from "./metric-registry.ts";

/** What a proxy's identity shows of itself. */
export interface IdentityView {
  /** Wall clock ms; undefined while there is no certificate. */
  readonly expiresAt: () => number | undefined;
  readonly renewals: () => number;
  readonly failures: () => number;
  /** Of the mesh's TLS, as client and as server. */
  readonly handshakes: () => Readonly<Record<"client" | "server", HandshakeView>>;
}

interface HandshakeView {
  readonly full: number;
  readonly resumed: number;
  readonly failed: number;
}

/** Read at each scrape. `now`: wall clock ms. */
export function identityMetrics(registry: MetricRegistry, view: IdentityView, now: () => number): void {
  const gauge = (name: string, help: string, read: (expiresAt: number) => number) =>
    registry.family({
      name,
      help,
      type: "gauge",
      samples: () => {
        const expiresAt = view.expiresAt();
        return expiresAt === undefined ? [] : [{ suffix: "", labels: {}, value: read(expiresAt) }];
      },
    });
  gauge(
    "weft_certificate_expiry_timestamp_seconds",
    "When this workload's certificate ends, Unix time.",
    (expiresAt) => expiresAt / 1000,
  );
  gauge(
    "weft_certificate_expiry_seconds",
    "Seconds that this workload's certificate still holds.",
    (expiresAt) => Math.round((expiresAt - now()) / 1000),
  );
  registry.family({
    name: "weft_certificate_requests_total",
    help: "Certificates that were asked for, by outcome.",
    type: "counter",
    samples: () => [
      { suffix: "", labels: { outcome: "renewed" }, value: view.renewals() },
      { suffix: "", labels: { outcome: "failed" }, value: view.failures() },
    ],
  });
  registry.family({
    name: "weft_mesh_handshakes_total",
    help: "Handshakes of the mesh's TLS, by side and outcome.",
    type: "counter",
    samples: () =>
      Object.entries(view.handshakes()).flatMap(([side, counts]) =>
        (["full", "resumed", "failed"] as const).map((outcome) => ({
          suffix: "",
          labels: { side, outcome },
          value: counts[outcome],
        })),
      ),
  });
}
