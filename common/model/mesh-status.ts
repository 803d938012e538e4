import type { Problem } from "../base/problem.ts";
import type { Source } from "./source.ts";

/** Where a resource stands, as the HTTP API tells and the command reads it. */
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

/** How the proxies took a change. */
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

/** A proxy as the HTTP API tells of it. */
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
  /** ISO 8601. */
  readonly connectedAt: string;
  /** The newest picture of which it has answered everything. */
  readonly version?: string;
  readonly isCurrent: boolean;
  readonly types: Readonly<Record<string, ProxyTypeView>>;
}

/** What a proxy runs of one xDS type. */
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

/** A resource that was applied. */
export interface AppliedView {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly result: "created" | "configured" | "unchanged";
  readonly state: "live" | "pending";
}

/** A resource as the HTTP API shows it. */
export interface ResourceView {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly apiVersion: string;
  readonly version: string;
  /** ISO 8601. */
  readonly createdAt: string;
  /** `state` when it was applied over HTTP, else the config folder that holds it. */
  readonly origin?: string;
  readonly source: Source;
  readonly status: ResourceStatus;
  readonly object: Readonly<Record<string, unknown>>;
}
