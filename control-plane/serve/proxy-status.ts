import type { PeerIdentity } from "../../common/model/identity.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { ClientKind } from "../../common/xds/node.ts";
import type { ResourceKind } from "../../common/xds/type-url.ts";
import { resourceKinds } from "../../common/xds/type-url.ts";
import type { AckRecord, NackRecord } from "./acks.ts";
import type { ProxySession } from "./session.ts";

/** What is known about one connected proxy; a picture of now that does not change later, but for what it runs. */
export interface ProxyStatus {
  readonly node: ProxyNode;
  readonly client: ClientKind;
  readonly clientVersion: string;
  readonly protocol: "delta" | "sotw";
  readonly address: string;
  /** Who it proved to be; absent on the plain port. */
  readonly caller?: PeerIdentity;
  /** Wall clock, ms. */
  readonly connectedAt: number;
  /** The last snapshot whose every resource this proxy answered; absent until the first. */
  readonly version?: string;
  /** Per type that the proxy subscribed to. */
  readonly types: ReadonlyMap<ResourceKind, TypeStatus>;
}

export interface TypeStatus {
  /** The last accepted response. */
  readonly lastAck?: AckRecord;
  readonly lastNack?: NackRecord;
  readonly isAwaitingAnswer: boolean;
  /** How many resources the proxy runs. */
  readonly count: number;
  /** What the proxy runs now, put together at each look: resource name → version. */
  readonly runs: ReadonlyMap<string, string>;
  /** What it refused and has not replaced: resource name → version. */
  readonly refused: ReadonlyMap<string, string>;
}

export function proxyStatus(session: ProxySession, caller?: PeerIdentity): ProxyStatus {
  const { peer, protocol, address, connectedAt, settledPush } = session;
  const types = new Map<ResourceKind, TypeStatus>();
  for (const kind of resourceKinds)
    if (session.subscription(kind).isStarted) types.set(kind, typeStatus(session, kind));
  return {
    node: peer.node,
    client: peer.client,
    clientVersion: peer.clientVersion,
    protocol,
    address,
    ...(caller === undefined ? {} : { caller }),
    connectedAt,
    ...(settledPush ? { version: settledPush.version } : {}),
    types,
  };
}

function typeStatus(session: ProxySession, kind: ResourceKind): TypeStatus {
  const { lastAck, lastNack, inFlight, acked, refused } = session.delivery(kind);
  return {
    ...(lastAck ? { lastAck } : {}),
    ...(lastNack ? { lastNack } : {}),
    isAwaitingAnswer: inFlight !== undefined,
    count: acked.size,
    // Thousands of names per proxy, of which most who ask want none.
    get runs() {
      return new Map(Array.from(acked, ([name, { version }]) => [name, version]));
    },
    refused: new Map(refused),
  };
}
