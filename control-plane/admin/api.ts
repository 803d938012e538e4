import type { Problem } from "../../common/base/problem.ts";
import type { Result } from "../../common/base/result.ts";
import type { ProxyView, ResourceStatus, SettledView } from "../../common/model/mesh-status.ts";
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
