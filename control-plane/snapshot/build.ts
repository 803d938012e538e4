import type { Resource } from "../resources/resource.ts";
import { indexAccess } from "./access-policies.ts";
import { indexBreakers } from "./circuit-breakers.ts";
import { lostReferences, settle } from "./consistency.ts";
import { buildDestinationRules } from "./destination-rules.ts";
import { buildEndpoints } from "./endpoints.ts";
import { indexFaults } from "./faults.ts";
import { buildGateways } from "./gateways.ts";
import { indexHealthChecks } from "./health-checks.ts";
import { mapByKey } from "./live-set.ts";
import type { MeshSettings } from "./mesh.ts";
import { defaultMeshSettings } from "./mesh.ts";
import { byKey } from "./order.ts";
import { indexPeerAuthentications, mutualTlsMode } from "./peer-authentications.ts";
import { indexRateLimits } from "./rate-limits.ts";
import { buildServices } from "./services.ts";
import { buildSidecars } from "./sidecars.ts";
import type { Snapshot } from "./snapshot.ts";
import { buildVirtualServices } from "./virtual-services.ts";
import { findWarnings } from "./warnings.ts";

/** What a snapshot's resources are by key; the next snapshot asks for it. */
const liveByKey = new WeakMap<Snapshot, ReadonlyMap<string, Resource>>();

/**
 * Makes one picture of the mesh from all current resources, in whatever order they come. `previous` is what was live
 * before: a resource whose new version is inconsistent stays in its version there, and parts that did not change keep
 * their identity.
 */
export function buildSnapshot(
  resources: Iterable<Resource>,
  previous?: Snapshot,
  settings: MeshSettings = previous?.settings ?? defaultMeshSettings,
): Snapshot {
  const { live, held } = settle(
    mapByKey(resources),
    (previous && liveByKey.get(previous)) ?? mapByKey(previous?.resources ?? []),
  );
  const breakers = indexBreakers(live.circuitBreakers);
  const faults = indexFaults(live.faults);
  const rateLimits = indexRateLimits(live.rateLimits);
  const peerAuthentications = indexPeerAuthentications(
    live.peerAuthentications,
    previous?.peerAuthentications,
  );
  const services = buildServices(
    live.serviceEntries,
    { breakers, faults, healthChecks: indexHealthChecks(live.healthChecks) },
    previous?.services,
  );
  const mesh = {
    services,
    rateLimits,
    access: indexAccess(live.authorizationPolicies, live.requestAuthentications),
    peerAuthentications,
    endpoints: buildEndpoints(
      services,
      live.workloadEntries,
      {
        basis: peerAuthentications,
        refusesMutualTls: (workload, ports) =>
          mutualTlsMode(peerAuthentications, workload, ports, settings.rootNamespace) === "disable",
      },
      previous?.endpoints,
    ),
    destinationRules: buildDestinationRules(live.destinationRules, previous?.destinationRules),
    virtualServices: buildVirtualServices(
      live.virtualServices,
      { breakers, rateLimits, faults },
      previous?.virtualServices,
    ),
    gateways: buildGateways(live.gateways, previous?.gateways),
    sidecars: buildSidecars(live.sidecars, previous?.sidecars),
    settings,
  };
  const snapshot: Snapshot = Object.freeze({
    ...mesh,
    lineage: previous?.lineage ?? {},
    resources: Object.freeze([...live.byKey.values()].sort(byKey)),
    held,
    problems: Object.freeze([
      ...held.flatMap(({ problems }) => problems),
      ...lostReferences(live),
      ...findWarnings(live, mesh),
    ]),
  });
  liveByKey.set(snapshot, live.byKey);
  return snapshot;
}
