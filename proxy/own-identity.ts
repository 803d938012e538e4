import { X509Certificate } from "node:crypto";
import type { Clock } from "../common/base/clock.ts";
import type { Random } from "../common/base/random.ts";
import { uriNames } from "../common/identity/certificate.ts";
import type { ProxySettings } from "./config.ts";
import type { ProxyIdentity } from "./identity/create-identity.ts";
import { createIdentity } from "./identity/create-identity.ts";
import type { MeshTlsParts } from "./listeners/open-listener.ts";
import { HandshakeCounts } from "./net/mesh-tls.ts";
import type { TlsClient } from "./net/tls-client.ts";
import type { IdentityView } from "./telemetry/identity-metrics.ts";
import type { Log } from "./telemetry/log.ts";
import { OutageLog } from "./telemetry/outage-log.ts";

/** This workload's identity, and what the other parts of a proxy want of it. */
export interface OwnIdentity extends ProxyIdentity {
  readonly mesh: MeshTlsParts;
  /** For metrics and the admin pages; never the key. */
  view(client: TlsClient): IdentityView;
  spiffeId(): string | undefined;
}

export interface OwnIdentityParts {
  readonly settings: Pick<ProxySettings, "node" | "controlPlane" | "trust" | "stateDirectory">;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

/** ms in which one line is written for all clients that were refused for one reason. */
const quietMs = 10_000;

/** Undefined when the settings give this proxy nothing to prove who it is with. */
export function createOwnIdentity({
  settings,
  log,
  clock,
  random,
}: OwnIdentityParts): OwnIdentity | undefined {
  const { node, controlPlane, trust, stateDirectory } = settings;
  if (controlPlane === undefined || trust === undefined) return undefined;
  const where = `${controlPlane.host}:${controlPlane.port}`;
  const outage = new OutageLog(log, clock, {
    lost: "no certificate could be had; the one before stays in use, if there is one",
    back: "certificates come again",
    connected: "got a certificate",
  });
  const identity = createIdentity({
    node,
    controlPlane,
    trust,
    stateDirectory,
    clock,
    random,
    events: {
      renewed: () => outage.connected(where),
      failed: (why, retryMs) => outage.disconnected(where, why, retryMs),
    },
  });
  const { keeper } = identity;
  const counts = new HandshakeCounts();
  const spiffeIds = new WeakMap<object, string>();
  const saidAt = new Map<string, number>();
  return {
    ...identity,
    mesh: {
      identity: keeper,
      counts,
      onRefused: (listener, client, why) => {
        const now = clock.monotonic();
        if (now - (saidAt.get(why) ?? Number.NEGATIVE_INFINITY) < quietMs) return;
        if (saidAt.size > 100) saidAt.clear();
        saidAt.set(why, now);
        log.warn("a client was refused", { listener, client, why });
      },
    },
    view: (client) => ({
      expiresAt: () => keeper.current?.expiresAt,
      renewals: () => keeper.renewals,
      failures: () => keeper.failures,
      handshakes: () => ({ client: client.counts, server: counts }),
    }),
    spiffeId: () => {
      const { current } = keeper;
      if (current === undefined) return undefined;
      const known = spiffeIds.get(current) ?? uriNames(new X509Certificate(current.chain))[0] ?? "";
      spiffeIds.set(current, known);
      return known;
    },
  };
}
