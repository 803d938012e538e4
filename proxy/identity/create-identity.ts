import type { Clock } from "../../common/base/clock.ts";
import type { Random } from "../../common/base/random.ts";
import { defaultTrustDomain, spiffeIdOf } from "../../common/identity/spiffe.ts";
import type { ProxyNode, SocketAddress } from "../../common/model/node.ts";
import { certificateCall } from "./certificate-call.ts";
import type { ControlPlaneChannel, ControlPlaneTrust } from "./control-plane-channel.ts";
import { openControlPlaneChannel } from "./control-plane-channel.ts";
import type { IdentityEvents } from "./identity-keeper.ts";
import { IdentityKeeper } from "./identity-keeper.ts";
import { savedIdentity } from "./saved-identity.ts";

export interface IdentityParts {
  readonly node: Pick<ProxyNode, "namespace" | "serviceAccount">;
  readonly controlPlane: SocketAddress;
  readonly trust: ControlPlaneTrust;
  /** Absent: nothing outlives the process. */
  readonly stateDirectory?: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: IdentityEvents;
}

/** A proxy's identity and its protected way to the control plane. */
export interface ProxyIdentity {
  readonly keeper: IdentityKeeper;
  /** For every connection anew. Throws an Error when a file can't be read. */
  readonly openChannel: () => ControlPlaneChannel;
}

export function createIdentity(parts: IdentityParts): ProxyIdentity {
  const { node, controlPlane, trust, stateDirectory, clock } = parts;
  // The trust domain is the control plane's to say; what is asked for only has to look like a SPIFFE ID.
  const spiffeId = spiffeIdOf({ trustDomain: defaultTrustDomain, ...pick(node) });
  const openChannel = (): ControlPlaneChannel => openControlPlaneChannel(controlPlane, trust, keeper, clock);
  const keeper: IdentityKeeper = new IdentityKeeper({
    ...pick(node),
    spiffeId,
    request: certificateCall(controlPlane, openChannel, () => clock.now()),
    ...(stateDirectory === undefined ? {} : { saved: savedIdentity(stateDirectory, spiffeId) }),
    clock,
    random: parts.random,
    events: parts.events,
  });
  return { keeper, openChannel };
}

function pick({ namespace, serviceAccount }: Pick<ProxyNode, "namespace" | "serviceAccount">) {
  return { namespace, serviceAccount };
}
