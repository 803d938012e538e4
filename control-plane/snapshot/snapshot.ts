import type { Resource } from "../resources/resource.ts";
import type { AccessIndex } from "./access-policies.ts";
import type { DestinationRuleIndex } from "./destination-rules.ts";
import type { MeshGateway, MeshSettings, MeshSidecar, ServiceEndpoints } from "./mesh.ts";
import type { PeerAuthenticationIndex } from "./peer-authentications.ts";
import type { Held, ResourceProblem } from "./problems.ts";
import type { RateLimitIndex } from "./rate-limits.ts";
import type { ServiceIndex } from "./services.ts";
import type { VirtualServiceIndex } from "./virtual-services.ts";

export type {
  CompiledConnectionRule,
  CompiledServer,
  EdgeRules,
  EgressListener,
  IngressListener,
  LocalityPolicy,
  MeshDestinationRule,
  MeshGateway,
  MeshRule,
  MeshService,
  MeshSettings,
  MeshSidecar,
  MeshSubset,
  MeshVirtualService,
  RuleScope,
  ServiceBreaker,
  ServiceEndpoints,
  TrafficPolicy,
} from "./mesh.ts";
export { defaultMeshSettings } from "./mesh.ts";

/**
 * One frozen, checked picture of the mesh: everything that translate needs, with all joins made. Parts that did not change
 * are the very objects of the snapshot before, so whoever caches by them keeps its cache.
 */
export interface Snapshot {
  /** The same object in all snapshots that follow from one another, for caches to hang on. */
  readonly lineage: object;
  /** What is live, by kind, namespace and name. A resource that waits is here in its last consistent version, or not at all. */
  readonly resources: readonly Resource[];
  readonly services: ServiceIndex;
  /** By `MeshService.key`. */
  readonly endpoints: ReadonlyMap<string, ServiceEndpoints>;
  readonly virtualServices: VirtualServiceIndex;
  readonly destinationRules: DestinationRuleIndex;
  /** Oldest first. */
  readonly gateways: readonly MeshGateway[];
  /** Oldest first. */
  readonly sidecars: readonly MeshSidecar[];
  readonly settings: MeshSettings;
  readonly rateLimits: RateLimitIndex;
  readonly peerAuthentications: PeerAuthenticationIndex;
  readonly access: AccessIndex;
  /** Changes that would make a reference dangle, and what they wait for. */
  readonly held: readonly Held[];
  /** Everything worth telling about the live resources and the held ones. */
  readonly problems: readonly ResourceProblem[];
}
