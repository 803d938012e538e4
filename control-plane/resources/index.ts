import { authorizationPolicy } from "./authorization-policy/kind.ts";
import { circuitBreaker } from "./circuit-breaker/kind.ts";
import { destinationRule } from "./destination-rule/kind.ts";
import { fault } from "./fault/kind.ts";
import { gateway } from "./gateway/kind.ts";
import { healthCheck } from "./health-check/kind.ts";
import type { KindDefinition } from "./kind.ts";
import { peerAuthentication } from "./peer-authentication/kind.ts";
import { rateLimit } from "./rate-limit/kind.ts";
import { requestAuthentication } from "./request-authentication/kind.ts";
import { serviceEntry } from "./service-entry/kind.ts";
import { sidecar } from "./sidecar/kind.ts";
import { virtualService } from "./virtual-service/kind.ts";
import { workloadEntry } from "./workload-entry/kind.ts";

/** Every kind that the control plane understands. A new kind is a folder, a name in `resource.ts` and a line here. */
export const kindDefinitions: readonly KindDefinition[] = [
  gateway,
  sidecar,
  virtualService,
  destinationRule,
  serviceEntry,
  workloadEntry,
  peerAuthentication,
  authorizationPolicy,
  requestAuthentication,
  circuitBreaker,
  rateLimit,
  fault,
  healthCheck,
];

/** Kinds of the same family that come later: refused by name, because a policy that is silently left out is a hole. */
export const kindsOfLater: ReadonlyMap<string, readonly string[]> = new Map([
  ["networking.istio.io", ["EnvoyFilter", "ProxyConfig", "WorkloadGroup"]],
  ["security.istio.io", []],
  ["telemetry.istio.io", ["Telemetry"]],
  ["extensions.istio.io", ["WasmPlugin", "TrafficExtension"]],
  ["weft.dev", ["FaultExperiment", "Filter", "Rollout", "RouteTest"]],
  [
    "gateway.networking.k8s.io",
    [
      "BackendTLSPolicy",
      "GRPCRoute",
      "Gateway",
      "GatewayClass",
      "HTTPRoute",
      "ReferenceGrant",
      "TCPRoute",
      "TLSRoute",
      "UDPRoute",
    ],
  ],
]);
