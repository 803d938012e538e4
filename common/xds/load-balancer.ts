import type { Cluster, LoadBalancer, Warmup } from "../model/cluster.ts";
import messages from "./generated/messages.js";
import type { Json } from "./weft-metadata.ts";
import { text } from "./weft-metadata.ts";
import type { Reading } from "./wire.ts";
import { fromDuration, toDuration } from "./wire.ts";

type WireCluster = messages.envoy.config.cluster.v3.Cluster;
type SlowStart = messages.envoy.config.cluster.v3.Cluster.SlowStartConfig;

const { LbPolicy } = messages.envoy.config.cluster.v3.Cluster;

/** The fields that say how a cluster chooses endpoints, without `commonLbConfig`. */
export function toLoadBalancerFields({ discovery, loadBalancer }: Cluster): WireCluster {
  // An ORIGINAL_DST cluster brings its own balancer and accepts no other; all other types refuse that one.
  if (discovery.kind === "original-dst") return { lbPolicy: LbPolicy.CLUSTER_PROVIDED };
  const { kind, minimumRingSize, tableSize, warmup } = loadBalancer;
  const slowStart = warmup && { slowStartConfig: toSlowStart(warmup) };
  switch (kind) {
    case "least-request":
      return {
        lbPolicy: LbPolicy.LEAST_REQUEST,
        ...(slowStart && { leastRequestLbConfig: slowStart }),
      };
    // The nearest that Envoy has to a choice by response time.
    case "peak-ewma":
      return {
        lbPolicy: LbPolicy.LEAST_REQUEST,
        ...(slowStart && { leastRequestLbConfig: slowStart }),
      };
    case "random":
      return { lbPolicy: LbPolicy.RANDOM };
    case "ring-hash":
      return {
        lbPolicy: LbPolicy.RING_HASH,
        ...(minimumRingSize === undefined
          ? {}
          : { ringHashLbConfig: { minimumRingSize: { value: minimumRingSize } } }),
      };
    case "maglev":
      return {
        lbPolicy: LbPolicy.MAGLEV,
        ...(tableSize === undefined ? {} : { maglevLbConfig: { tableSize: { value: tableSize } } }),
      };
    case "round-robin":
    case "passthrough":
      return {
        lbPolicy: LbPolicy.ROUND_ROBIN,
        ...(slowStart && { roundRobinLbConfig: slowStart }),
      };
  }
}

/** The word for the cluster's weft metadata; undefined where Envoy's own fields say it. */
export function loadBalancerWord(cluster: Cluster): LoadBalancer["kind"] | undefined {
  const { kind } = cluster.loadBalancer;
  return fromLbPolicy(toLoadBalancerFields(cluster).lbPolicy ?? 0) === kind ? undefined : kind;
}

/** `weft`: the cluster's own metadata. */
export function fromLoadBalancerFields(message: WireCluster, weft: Json, reading: Reading): LoadBalancer {
  const kind = knownKind(text(weft, "loadBalancer")) ?? fromLbPolicy(message.lbPolicy ?? 0);
  if (kind === undefined) {
    const hint = "use ROUND_ROBIN, LEAST_REQUEST, RANDOM, RING_HASH or MAGLEV";
    reading.problem("lbPolicy", `policy ${message.lbPolicy} is not supported`, hint);
  }
  const slowStart = (message.roundRobinLbConfig ?? message.leastRequestLbConfig)?.slowStartConfig;
  return {
    kind: kind ?? "round-robin",
    ...(kind === "ring-hash" ? fromRing(message, reading) : {}),
    ...(kind === "maglev" ? fromMaglev(message, reading) : {}),
    ...(slowStart ? { warmup: fromSlowStart(slowStart) } : {}),
    ...(message.commonLbConfig?.localityWeightedLbConfig ? { weighsLocalities: true } : {}),
  };
}

function fromRing({ ringHashLbConfig }: WireCluster, reading: Reading): Partial<LoadBalancer> {
  if (ringHashLbConfig?.hashFunction)
    reading.problem("ringHashLbConfig.hashFunction", "only XX_HASH is supported");
  const size = whole(ringHashLbConfig?.minimumRingSize);
  if (size !== undefined && !(size <= maximumRingSize))
    reading.problem("ringHashLbConfig.minimumRingSize", `${size} is more than ${maximumRingSize}`);
  return size === undefined ? {} : { minimumRingSize: size };
}

function fromMaglev({ maglevLbConfig }: WireCluster, reading: Reading): Partial<LoadBalancer> {
  const size = whole(maglevLbConfig?.tableSize);
  if (size !== undefined && !isTableSize(size))
    reading.problem("maglevLbConfig.tableSize", `${size} is not a prime up to ${maximumTableSize}`);
  return size === undefined ? {} : { tableSize: size };
}

function toSlowStart({ durationMs, minimumPercent, aggression }: Warmup): SlowStart {
  return {
    slowStartWindow: toDuration(durationMs),
    aggression: { defaultValue: aggression, runtimeKey: "weft.slow_start_aggression" },
    minWeightPercent: { value: minimumPercent },
  };
}

/** Absent parts have Envoy's defaults. */
function fromSlowStart(wire: SlowStart): Warmup {
  return {
    durationMs: wire.slowStartWindow ? fromDuration(wire.slowStartWindow) : 0,
    minimumPercent: wire.minWeightPercent ? (wire.minWeightPercent.value ?? 0) : 10,
    aggression: wire.aggression?.defaultValue || 1,
  };
}

function fromLbPolicy(policy: number): LoadBalancer["kind"] | undefined {
  switch (policy) {
    case LbPolicy.ROUND_ROBIN:
      return "round-robin";
    case LbPolicy.LEAST_REQUEST:
      return "least-request";
    case LbPolicy.RANDOM:
      return "random";
    case LbPolicy.RING_HASH:
      return "ring-hash";
    case LbPolicy.MAGLEV:
      return "maglev";
    case LbPolicy.CLUSTER_PROVIDED:
      return "passthrough";
    default:
      return undefined;
  }
}

function knownKind(word: string | undefined): LoadBalancer["kind"] | undefined {
  const kinds: readonly LoadBalancer["kind"][] = [
    "round-robin",
    "least-request",
    "random",
    "peak-ewma",
    "ring-hash",
    "maglev",
    "passthrough",
  ];
  return kinds.find((kind) => kind === word);
}

/** 64-bit fields may come as Long objects, whose only conversion is their text. */
function whole(wrapper: messages.google.protobuf.UInt64Value | null | undefined): number | undefined {
  return wrapper ? Number(String(wrapper.value ?? 0)) : undefined;
}

function isTableSize(size: number): boolean {
  if (!(size >= 2 && size <= maximumTableSize)) return false;
  for (let by = 2; by * by <= size; by++) if (size % by === 0) return false;
  return true;
}

/** Envoy's limits. */
const maximumRingSize = 8_388_608;
const maximumTableSize = 5_000_011;
