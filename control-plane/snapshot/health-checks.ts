import { closestName } from "../../common/base/closest.ts";
import type { CheckPolicy, CheckTarget, CompiledHealthCheck } from "../resources/health-check/compiled.ts";
import type { Resource } from "../resources/resource.ts";
import type { MeshService } from "./mesh.ts";
import type { ResourceProblem } from "./problems.ts";
import { keyOf, positionOf } from "./problems.ts";
import type { Snapshot } from "./snapshot.ts";

export type { CheckPolicy } from "../resources/health-check/compiled.ts";

type CheckResource = Resource<CompiledHealthCheck>;

/** Health checks by the `namespace/hostname` of their service, oldest first. The targets are the same objects as long as a resource stays. */
export type HealthCheckIndex = ReadonlyMap<string, readonly CheckTarget[]>;

/** `resources` are oldest first. */
export function indexHealthChecks(resources: readonly CheckResource[]): HealthCheckIndex {
  const targets = resources.map(({ namespace, compiled: { target } }) => ({ namespace, target }));
  const groups = Map.groupBy(targets, ({ namespace, target }) => `${namespace}/${target.host}`);
  return new Map(Array.from(groups, ([key, found]) => [key, found.map(({ target }) => target)]));
}

/** The check of a service's endpoints for one subset and port: the one that says most, of equals the oldest. */
export function healthCheckOf(
  { healthChecks = [] }: MeshService,
  subset: string | undefined,
  port: number,
): CheckPolicy | undefined {
  const fitting = healthChecks.filter(
    (target) =>
      (target.subset === undefined || target.subset === subset) &&
      (target.port === undefined || target.port === port),
  );
  return fitting.sort((a, b) => specificity(b) - specificity(a))[0]?.check;
}

/** Checks that are live and check nothing, or twice. */
export function healthCheckProblems(
  resources: readonly CheckResource[],
  { services }: Pick<Snapshot, "services">,
): ResourceProblem[] {
  const seen = new Map<string, CheckResource>();
  return resources.flatMap((resource) => {
    const { host, subset, port } = resource.compiled.target;
    const key = `${resource.namespace}/${host}`;
    const problems: ResourceProblem[] = [];
    const warn = (path: string, why: string, hint: string) =>
      problems.push({
        resource: keyOf(resource),
        path,
        why,
        hint,
        severity: "warning",
        ...positionOf(resource.source),
      });
    const service = services.byKey.get(key);
    if (service === undefined) {
      const own = [...services.byKey.values()].filter(({ namespace }) => namespace === resource.namespace);
      const hosts = own.map(({ hostname }) => hostname);
      const guess = closestName(host, hosts);
      const hint =
        guess === undefined ? "a check lies in the namespace of its service" : `did you mean ${guess}?`;
      warn(
        "spec.target.service.host",
        `namespace ${resource.namespace} has no service ${host}, so it checks nothing`,
        hint,
      );
    } else if (service.resolution === "none") {
      const why = `the endpoints of ${host} are whatever its callers name (resolution NONE), so it checks nothing`;
      warn("spec.target.service.host", why, "give the ServiceEntry endpoints");
    } else if (port !== undefined && !service.ports.some(({ number }) => number === port)) {
      const known = service.ports.map(({ number }) => number).join(", ");
      warn(
        "spec.target.service.port",
        `${host} has no port ${port}, so it checks nothing`,
        `its ports are ${known}`,
      );
    }
    const meant = service?.ports.filter(({ number }) => port === undefined || port === number) ?? [];
    const deaf = meant.filter(({ protocol }) => !["grpc", "grpc-web", "http2"].includes(protocol));
    if (resource.compiled.target.check.probe.kind === "grpc" && deaf.length > 0) {
      const numbers = deaf.map(({ number }) => number).join(", ");
      const why = `port ${numbers} of ${host} is not known to speak HTTP/2, so it is asked there only where a DestinationRule upgrades it`;
      warn("spec.grpc", why, "give the port protocol GRPC or HTTP2, or name another in target.service.port");
    }
    const target = JSON.stringify([key, subset, port]);
    const older = seen.get(target);
    if (older === undefined) seen.set(target, resource);
    else {
      const why = `HealthCheck ${older.namespace}/${older.name} has the same target, is older and decides`;
      warn("spec.target", why, "remove one of them");
    }
    return problems;
  });
}

function specificity({ subset, port }: CheckTarget): number {
  return (subset === undefined ? 0 : 2) + (port === undefined ? 0 : 1);
}
