import type { ProxyTypeView, ProxyView } from "../../common/model/mesh-status.ts";
import { resourceKinds } from "../../common/xds/type-url.ts";
import type { ProxyStatus, TypeStatus } from "../serve/proxy-status.ts";

/** A proxy as the HTTP API shows it. `current` is the version of the newest picture. */
export function proxyView(
  proxy: ProxyStatus,
  current: string,
  wanted: { readonly runs: boolean },
): ProxyView {
  const { node } = proxy;
  return {
    id: node.id,
    kind: node.kind,
    name: node.name,
    namespace: node.namespace,
    serviceAccount: node.serviceAccount,
    labels: node.labels,
    client: proxy.client,
    clientVersion: proxy.clientVersion,
    protocol: proxy.protocol,
    address: proxy.address,
    ...(proxy.caller === undefined ? {} : { principal: proxy.caller.principal }),
    connectedAt: new Date(proxy.connectedAt).toISOString(),
    ...(proxy.version === undefined ? {} : { version: proxy.version }),
    isCurrent: proxy.version === current,
    types: Object.fromEntries(
      resourceKinds.flatMap((kind) => {
        const type = proxy.types.get(kind);
        return type === undefined ? [] : [[kind, typeView(type, wanted.runs)]];
      }),
    ),
  };
}

/** `reviews-v1.default` */
export function proxyName({ node }: Pick<ProxyStatus, "node">): string {
  return `${node.name}.${node.namespace}`;
}

function typeView(type: TypeStatus, withRuns: boolean): ProxyTypeView {
  const { lastAck, lastNack } = type;
  return {
    count: type.count,
    isAwaitingAnswer: type.isAwaitingAnswer,
    ...(lastAck && { lastAck: { version: lastAck.version, latencyMs: round(lastAck.latencyMs) } }),
    ...(lastNack && {
      lastNack: {
        version: lastNack.version,
        why: lastNack.why,
        at: new Date(lastNack.at).toISOString(),
        names: [...lastNack.resources.keys()],
      },
    }),
    refused: [...type.refused.keys()],
    ...(withRuns && { runs: Object.fromEntries([...type.runs].sort()) }),
  };
}

/** ms with one decimal. */
export function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
