import type { FieldProblem } from "../field-problem.ts";
import { defaultNamespace } from "../metadata.ts";

/** An object of a kind that Istio took away, as it was written. */
export interface RetiredObject {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly spec: Fields;
}

/** What some of these objects say in today's kinds. */
export interface Converted {
  readonly objects: readonly ConvertedObject[];
  readonly problems: readonly ConversionProblem[];
}

/** An object to be decoded, and the one that it comes from. */
export interface ConvertedObject {
  readonly object: Fields;
  readonly from: RetiredObject;
}

export interface ConversionProblem extends FieldProblem {
  readonly from: RetiredObject;
}

export type Fields = Readonly<Record<string, unknown>>;

const successors: ReadonlyMap<string, string> = new Map([
  ["authentication.istio.io/Policy", "PeerAuthentication and RequestAuthentication"],
  ["authentication.istio.io/MeshPolicy", "PeerAuthentication and RequestAuthentication"],
  ["rbac.istio.io/ServiceRole", "AuthorizationPolicy"],
  ["rbac.istio.io/ServiceRoleBinding", "AuthorizationPolicy"],
  ["rbac.istio.io/ClusterRbacConfig", "AuthorizationPolicy"],
  ["rbac.istio.io/RbacConfig", "AuthorizationPolicy"],
]);

/** The kinds that do today what a retired one did; undefined for kinds that are not retired. */
export function successorOf({ apiVersion, kind }: Fields): string | undefined {
  if (typeof apiVersion !== "string" || typeof kind !== "string") return undefined;
  return successors.get(`${apiVersion.split("/")[0]}/${kind}`);
}

/** Undefined when the object has no name or its spec is no object. */
export function readRetired(object: Fields): RetiredObject | undefined {
  const metadata = fields(object["metadata"]);
  const { name, namespace = defaultNamespace } = metadata;
  const spec = object["spec"] ?? {};
  if (typeof name !== "string" || typeof namespace !== "string" || !isFields(spec)) return undefined;
  return { kind: String(object["kind"]), name, namespace, spec };
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function fields(value: unknown): Fields {
  return isFields(value) ? value : {};
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

/** Fields that the converter does not know: what they ask for must not get lost unsaid. */
export function unknownFields(
  value: Fields,
  known: readonly string[],
  path: readonly (string | number)[],
): readonly FieldProblem[] {
  return Object.keys(value)
    .filter((name) => !known.includes(name))
    .map((name) => ({ path: [...path, name], why: "has no successor", hint: "write the new kind by hand" }));
}

/** An object of `security.istio.io`. */
export function securityObject(kind: string, namespace: string, name: string, spec: Fields): Fields {
  return { apiVersion: "security.istio.io/v1", kind, metadata: { name, namespace }, spec };
}

/**
 * The old kinds named services, today's select workloads: those that carry the service's name as their label `app`, as is the custom.
 * A short name or a full one; undefined for patterns, which would select too much or too little.
 */
export function appOf(service: string): string | undefined {
  const name = service.split(".")[0]!;
  return /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name) ? name : undefined;
}

export function selecting(app: string | undefined): Fields {
  return app === undefined ? {} : { selector: { matchLabels: { app } } };
}
