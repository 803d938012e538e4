import { parseArgs } from "node:util";
import type { DeltaResponse } from "../../common/xds/ads.ts";
import type { ResourceKind } from "../../common/xds/type-url.ts";
import { resourceKind, typeUrl } from "../../common/xds/type-url.ts";
import type { AdsCall } from "../../proxy/xds/ads-call.ts";
import { openGrpcCall } from "../../proxy/xds/ads-call.ts";
import { sidecar } from "../../test/support/xds-mesh.ts";

/**
 * Many proxies' delta ADS streams in one process: each subscribes as our sidecar does and ACKs at once, without decoding
 * the resources, because that is each proxy's own CPU and not the control plane's. Prints one JSON line whenever all of
 * them are in step again: how many rounds, when the last answered (ms since the epoch), and the bytes since the line before.
 */
const { values } = parseArgs({
  options: {
    port: { type: "string", default: "15010" },
    first: { type: "string", default: "0" },
    count: { type: "string", default: "1" },
    asks: { type: "string" },
  },
});
const first = Number(values.first);
const count = Number(values.count);
/** The host that each proxy asks for on demand; absent: all get everything. */
const asked = values.asks;
/** Responses so far, of all streams together. */
const rounds = new Map<string, number>();
let bytes = 0;
let opened = 0;

process.on("SIGTERM", () => process.exit(0));
for (let index = 0; index < count; index++) open(`proxy-${first + index}`);

function open(name: string): void {
  const node = {
    ...sidecar(name),
    bindings: { outbound: { host: "127.0.0.1", port: 15_001 }, servers: new Map() },
    ...(asked !== undefined && { onDemand: true }),
  };
  let hasNamedItself = false;
  let isInStep = false;
  const missing = new Set<ResourceKind>(["endpoints", "virtual-host"]);
  const call: AdsCall = openGrpcCall(
    { host: "127.0.0.1", port: Number(values.port) },
    {
      onResponse(response) {
        take(response);
      },
      onEnd(reason) {
        process.stdout.write(`${JSON.stringify({ ended: name, reason })}\n`);
      },
    },
  );
  const send = (
    kind: ResourceKind,
    subscribe: readonly string[],
    nonce = "",
    unsubscribe: readonly string[] = [],
  ) => {
    call.send({
      typeUrl: typeUrl[kind],
      subscribe,
      unsubscribe,
      initialVersions: new Map(),
      responseNonce: nonce,
      ...(hasNamedItself ? {} : { node: { proxy: node, version: "bench" } }),
    });
    hasNamedItself = true;
  };
  const take = (response: DeltaResponse): void => {
    const kind = resourceKind(response.typeUrl);
    if (kind === undefined) return;
    for (const { name: resource, bytes: value } of response.resources)
      bytes += resource.length + value.length;
    if (
      kind === "cluster" &&
      asked === undefined &&
      response.resources.length + response.removed.length > 0
    ) {
      const names = response.resources
        .map((resource) => resource.name)
        .filter((resource) => resource.includes("|"));
      send("endpoints", names, "", response.removed);
    }
    if (kind === "listener" && !isInStep) send("route-configuration", ["http_proxy"]);
    if (kind === "route-configuration" && !isInStep) {
      send("virtual-host", ["http_proxy", ...(asked === undefined ? [] : [`http_proxy/${asked}`])]);
    }
    send(kind, [], response.nonce);
    if (isInStep && response.resources.length > 0) note(kind);
    // Endpoints are asked for when clusters come, so their first answer may be the last of all.
    const host = asked?.replace(/:\d+$/, "") ?? "";
    if (asked === undefined || response.resources.some((resource) => resource.name.includes(host)))
      missing.delete(kind);
    if (!isInStep && missing.size === 0) {
      isInStep = true;
      opened += 1;
      if (opened === count) tell("opened", 1);
    }
  };
  send("cluster", []);
  if (asked !== undefined) send("endpoints", ["*"]);
  send("listener", []);
}

/** Each change in this benchmark is one response per stream. */
function note(kind: ResourceKind): void {
  const answers = (rounds.get(kind) ?? 0) + 1;
  rounds.set(kind, answers);
  if (answers % count === 0) tell(kind, answers / count);
}

function tell(what: string, round: number): void {
  const atMs = Date.now();
  process.stdout.write(`${JSON.stringify({ what, round, atMs, bytes })}\n`);
  bytes = 0;
}
