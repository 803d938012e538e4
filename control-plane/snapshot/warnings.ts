import { isIP } from "node:net";
import { closestName } from "../../common/base/closest.ts";
import type { Resource } from "../resources/resource.ts";
import type { CompiledVirtualService } from "../resources/virtual-service/compiled.ts";
import { accessProblems } from "./access-problems.ts";
import { circuitBreakerProblems } from "./circuit-breakers.ts";
import { destinationRuleProblems } from "./destination-rules.ts";
import { hasLabels } from "./endpoints.ts";
import { faultProblems } from "./faults.ts";
import { gatewayName } from "./gateways.ts";
import { healthCheckProblems } from "./health-checks.ts";
import { covers } from "./hosts.ts";
import type { LiveSet } from "./live-set.ts";
import { peerAuthenticationProblems } from "./peer-authentications.ts";
import type { ResourceProblem } from "./problems.ts";
import { keyOf, positionOf } from "./problems.ts";
import { rateLimitProblems } from "./rate-limits.ts";
import { referencesOf } from "./references.ts";
import { serviceProblems } from "./services.ts";
import { sidecarProblems } from "./sidecars.ts";
import type { Snapshot } from "./snapshot.ts";
import { delegateWarnings, finderOf, virtualServiceProblems } from "./virtual-services.ts";

type Joined = Omit<Snapshot, "lineage" | "resources" | "held" | "problems">;

/** What is live and will work, but perhaps not as its author thinks. */
export function findWarnings(live: LiveSet, mesh: Joined): ResourceProblem[] {
  return [
    ...serviceProblems(mesh.services),
    ...destinationRuleProblems(live.destinationRules),
    ...emptySubsets(live, mesh),
    ...idleOutlierDetection(live, mesh),
    ...virtualServiceProblems(live.virtualServices, mesh.virtualServices),
    ...sidecarProblems(live, mesh.services),
    ...delegateWarnings(live.virtualServices),
    ...live.virtualServices.flatMap((resource) => [
      ...unknownHosts(resource, mesh),
      ...unknownGateways(resource, mesh),
      ...unservedHosts(resource, mesh),
    ]),
    ...unusedDelegates(live),
    ...circuitBreakerProblems(live.circuitBreakers, mesh),
    ...healthCheckProblems(live.healthChecks, mesh),
    ...rateLimitProblems(live.rateLimits, mesh),
    ...peerAuthenticationProblems(live.peerAuthentications),
    ...faultProblems(live.faults, mesh),
    ...accessProblems(live.authorizationPolicies, mesh.settings),
  ];
}

function unknownHosts(resource: Resource<CompiledVirtualService>, mesh: Joined): ResourceProblem[] {
  const { byHostname } = mesh.services;
  return referencesOf(resource)
    .filter(({ host }) => !byHostname.has(host))
    .map(({ host, path, source }) => {
      const guess = closestName(host, byHostname.keys());
      return {
        resource: keyOf(resource),
        path: `${path}.host`,
        why: `nobody serves ${host}; requests that go there get 503 (flag NC)`,
        hint: guess === undefined ? "add a ServiceEntry for it" : `did you mean ${guess}?`,
        severity: "warning" as const,
        ...positionOf(source),
      };
    });
}

function unknownGateways(resource: Resource<CompiledVirtualService>, mesh: Joined): ResourceProblem[] {
  const known = new Set(mesh.gateways.map(gatewayName));
  const named = new Map(
    resource.compiled.gateways.map((gateway, index) => [gateway, `spec.gateways[${index}]`]),
  );
  for (const [index, { matches }] of resource.compiled.http.entries()) {
    for (const [place, { scope }] of matches.entries()) {
      for (const gateway of scope.gateways ?? []) {
        if (!named.has(gateway)) named.set(gateway, `spec.http[${index}].match[${place}].gateways`);
      }
    }
  }
  for (const field of ["tls", "tcp"] as const) {
    for (const [index, { matches }] of (resource.compiled[field] ?? []).entries()) {
      for (const [place, { scope }] of matches.entries()) {
        for (const gateway of scope.gateways ?? []) {
          if (!named.has(gateway)) named.set(gateway, `spec.${field}[${index}].match[${place}].gateways`);
        }
      }
    }
  }
  return [...named]
    .filter(([gateway]) => gateway !== "mesh" && !known.has(gateway))
    .map(([gateway, path]) => {
      const guess = closestName(gateway, known);
      return {
        resource: keyOf(resource),
        path,
        why: `there is no Gateway ${gateway}, so these rules take no traffic from it`,
        hint: guess === undefined ? `apply Gateway ${gateway}` : `did you mean ${guess}?`,
        severity: "warning" as const,
        ...positionOf(resource.source),
      };
    });
}

/** Rules for a name that no service has can be meant so, but a typing slip looks the same. Not so a sidecar's own address. */
function unservedHosts(resource: Resource<CompiledVirtualService>, mesh: Joined): ResourceProblem[] {
  const { compiled } = resource;
  if (!compiled.gateways.includes("mesh")) return [];
  const hostnames = mesh.services.byHostname;
  return compiled.hosts.flatMap((host, index) => {
    const isServed =
      hostnames.has(host) ||
      (host.startsWith("*") && [...hostnames.keys()].some((hostname) => covers(host, hostname)));
    if (isServed || host === "*" || host === "localhost" || isIP(host) !== 0) return [];
    return {
      resource: keyOf(resource),
      path: `spec.hosts[${index}]`,
      why: `no service is called ${host}; the rules hold for requests that say so themselves`,
      severity: "info" as const,
      ...positionOf(resource.source),
    };
  });
}

function emptySubsets(live: LiveSet, mesh: Joined): ResourceProblem[] {
  return live.destinationRules.flatMap((resource) => {
    const { host, subsets } = resource.compiled;
    const services = mesh.services.byHostname.get(host) ?? [];
    if (services.length === 0) return [];
    const endpoints = services
      .filter(({ resolution }) => resolution !== "none")
      .flatMap(({ key }) => [...mesh.endpoints.get(key)!.byPort.values()].flat());
    // A service without any endpoint is not the subset's fault.
    if (endpoints.length === 0) return [];
    return subsets.flatMap(({ name, labels }, index) => {
      if (endpoints.some(({ workload }) => hasLabels(workload?.labels ?? {}, labels))) return [];
      const wanted = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
      return {
        resource: keyOf(resource),
        path: `spec.subsets[${index}].labels`,
        why: `no endpoint of ${host} has ${wanted.join(", ")}; requests to subset ${JSON.stringify(name)} get 503 (flag UH)`,
        severity: "warning" as const,
        ...positionOf(resource.source),
      };
    });
  });
}

/** Whoever names an address gets that one, so of a service without endpoints nobody can be left alone. */
function idleOutlierDetection(live: LiveSet, mesh: Joined): ResourceProblem[] {
  return live.destinationRules.flatMap((resource) => {
    const { host, policy } = resource.compiled;
    const services = mesh.services.byHostname.get(host) ?? [];
    if (policy.outlierDetection === undefined || services.length === 0) return [];
    if (services.some(({ resolution }) => resolution !== "none")) return [];
    return {
      resource: keyOf(resource),
      path: "spec.trafficPolicy.outlierDetection",
      why: `the endpoints of ${host} are whatever its callers name (resolution NONE), so nobody is ejected`,
      hint: "give the ServiceEntry endpoints, or remove it",
      severity: "warning" as const,
      ...positionOf(resource.source),
    };
  });
}

function unusedDelegates(live: LiveSet): ResourceProblem[] {
  const find = finderOf(live.virtualServices);
  const used = new Set(
    live.virtualServices.flatMap(({ compiled }) =>
      compiled.http.flatMap(({ delegate }) =>
        delegate ? [find(`${delegate.namespace}/${delegate.name}`)] : [],
      ),
    ),
  );
  return live.virtualServices
    .filter((resource) => resource.compiled.hosts.length === 0 && !used.has(resource))
    .map((resource) => ({
      resource: keyOf(resource),
      path: "spec.hosts",
      why: "it has no hosts and no VirtualService delegates to it, so it takes no traffic",
      severity: "warning" as const,
      ...positionOf(resource.source),
    }));
}
