import type { Problem } from "../../common/base/problem.ts";
import type { Result } from "../../common/base/result.ts";
import type { Explanation } from "../../common/routing/explain.ts";
import type { Resource, ResourceKey } from "../resources/resource.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { Store } from "../store/store.ts";

/** What the HTTP API needs of the control plane. */
export interface ControlPlaneApi {
  readonly store: Store;
  readonly snapshot: () => Snapshot;
  /** Grows with each picture that is pushed: "v1", "v2". */
  readonly version: () => string;
  /** What would be live if these were put now. */
  readonly preview: (puts: readonly Resource[]) => Snapshot;
  /** Writes to the state folder; the store has them when it resolves. */
  readonly write: (resources: readonly Resource[]) => Promise<void>;
  /** Which of the keys were in the state folder; the others are untouched. */
  readonly remove: (keys: readonly ResourceKey[]) => Promise<readonly ResourceKey[]>;
  /** Pushes what waits and resolves when all proxies have answered, or after `ms`. */
  readonly settled: (ms: number) => Promise<SettledView>;
  readonly statuses: () => (resource: ResourceKey) => ResourceStatus;
  readonly proxies: (wanted: { readonly runs: boolean }) => readonly ProxyView[];
  /** All that is wrong anywhere, with the source or the picture that says so. */
  readonly problems: () => readonly ReportedProblem[];
  /** Which rule takes a request; the question is what the client sent. */
  readonly explain: (question: unknown) => Result<Explanation>;
  readonly readiness: () => readonly ReadyTask[];
}

export interface ResourceStatus {
  /** `pending`: the newest version waits and `live` says whether an older one is live. `stale`: its file can't be read now. */
  readonly state: "live" | "pending" | "stale";
  readonly live: boolean;
  /** Proxies that run the picture since which the live version is in it, of all that are connected. */
  readonly programmed: number;
  readonly proxies: number;
  /** Proxies that refused something made from it. */
  readonly refusedBy: readonly string[];
  readonly problems: readonly Problem[];
}

export interface SettledView {
  readonly version: string;
  readonly complete: boolean;
  readonly accepted: number;
  readonly refused: readonly {
    readonly proxy: string;
    readonly names: readonly string[];
    readonly why: string;
  }[];
  /** Proxies that have not answered yet. */
  readonly waitingFor: readonly string[];
  readonly ms: number;
}

export interface ReportedProblem extends Problem {
  /** `KIND/NAMESPACE/NAME`, where that is known. */
  readonly resource?: string;
  /** `snapshot`, or the source that could not read it. */
  readonly reportedBy: string;
}

export interface ReadyTask {
  readonly name: string;
  readonly isDone: boolean;
}

export interface ProxyView {
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly client: string;
  readonly clientVersion: string;
  readonly protocol: string;
  readonly address: string;
  /** `cluster.local/ns/shop/sa/review`: who it proved to be; absent when it came over the plain port. */
  readonly principal?: string;
  readonly connectedAt: string;
  /** The newest picture of which it has answered everything. */
  readonly version?: string;
  readonly isCurrent: boolean;
  readonly types: Readonly<Record<string, ProxyTypeView>>;
}

export interface ProxyTypeView {
  readonly count: number;
  readonly isAwaitingAnswer: boolean;
  readonly lastAck?: { readonly version: string; readonly latencyMs: number };
  readonly lastNack?: {
    readonly version: string;
    readonly why: string;
    readonly at: string;
    readonly names: readonly string[];
  };
  /** What it refused and has not replaced. */
  readonly refused: readonly string[];
  /** Resource name → version; on request. */
  readonly runs?: Readonly<Record<string, string>>;
}
