import { closestName } from "../../common/base/closest.ts";
import type { FieldProblem } from "./field-problem.ts";
import { kindDefinitions, kindsOfLater } from "./index.ts";
import type { KindDefinition } from "./kind.ts";
import { successorOf } from "./retired/retired-object.ts";

/** What an object says it is: one of ours, someone else's business, or a mistake. */
export type Recognized =
  | { readonly as: "kind"; readonly definition: KindDefinition }
  | { readonly as: "foreign"; readonly why: string }
  /** Of a kind that Istio took away; the text it stands in is read with its successors in its place. */
  | { readonly as: "retired"; readonly successor: string }
  | { readonly as: "mistake"; readonly problem: FieldProblem };

/** Decides by apiVersion and kind alone. */
export function recognize(object: Readonly<Record<string, unknown>>): Recognized {
  const { apiVersion, kind } = object;
  const successor = successorOf(object);
  if (successor !== undefined) return { as: "retired", successor };
  if (apiVersion === undefined && kind === undefined) {
    return { as: "foreign", why: "it has neither apiVersion nor kind" };
  }
  if (apiVersion === undefined && kind === "LocalMesh") {
    return { as: "foreign", why: "it is a mesh file, which weft up runs" };
  }
  if (typeof apiVersion !== "string" || apiVersion === "") {
    const definition = kindDefinitions.find((known) => known.kind === kind);
    const hint = definition
      ? `write apiVersion: ${definition.group}/${definition.versions[0]}`
      : "write group/version";
    return mistake("apiVersion", "is missing", hint);
  }
  if (typeof kind !== "string" || kind === "")
    return mistake("kind", "is missing", `one of ${knownKinds("")}`);
  const slash = apiVersion.lastIndexOf("/");
  return recognizeKind(apiVersion.slice(0, Math.max(slash, 0)), apiVersion.slice(slash + 1), kind);
}

function recognizeKind(group: string, version: string, kind: string): Recognized {
  const groups = new Set([...kindsOfLater.keys(), ...kindDefinitions.map((known) => known.group)]);
  if (!groups.has(group)) return recognizeForeign(group, version, kind, groups);
  const definition = kindDefinitions.find((known) => known.group === group && known.kind === kind);
  if (definition) {
    if (definition.versions.includes(version)) return { as: "kind", definition };
    return mistake(
      "apiVersion",
      `${group} has no version ${JSON.stringify(version)}`,
      `one of ${definition.versions.join(", ")}`,
    );
  }
  if (kindsOfLater.get(group)?.includes(kind)) {
    return mistake("kind", `${kind} (${group}) is not supported yet`, `supported: ${knownKinds("")}`);
  }
  const sameGroup = kindDefinitions.filter((known) => known.group === group).map((known) => known.kind);
  const closest = closestName(kind, [...sameGroup, ...(kindsOfLater.get(group) ?? [])]);
  const hint = closest ? `did you mean ${closest}?` : `kinds of ${group}: ${knownKinds(group) || "none yet"}`;
  return mistake("kind", `${JSON.stringify(kind)} is not a kind of ${group}`, hint);
}

/** Deployments and the like share the folder, but a group or kind that is nearly ours was surely meant to be. */
function recognizeForeign(
  group: string,
  version: string,
  kind: string,
  groups: ReadonlySet<string>,
): Recognized {
  const closestGroup = closestName(group, groups);
  if (group !== "" && closestGroup !== undefined) {
    return mistake(
      "apiVersion",
      `${JSON.stringify(group)} is not a known group`,
      `did you mean ${closestGroup}/${version}?`,
    );
  }
  const ours = kindDefinitions.filter((known) => known.kind !== "Gateway");
  const meant =
    ours.find((known) => known.kind === kind) ??
    ours.find((known) => known.kind === closestName(kind, [known.kind]));
  if (meant && (group === "" || group.endsWith("istio.io"))) {
    const why = `${JSON.stringify(kind)} is not a kind of ${group || "the core group"}`;
    return mistake("kind", why, `did you mean ${meant.kind} of ${meant.group}/${meant.versions[0]}?`);
  }
  return { as: "foreign", why: `${kind} (${group || "core"}/${version}) is not a mesh resource` };
}

function mistake(field: string, why: string, hint: string): Recognized {
  return { as: "mistake", problem: { path: [field], why, hint } };
}

function knownKinds(group: string): string {
  return kindDefinitions
    .flatMap((known) => (group === "" || known.group === group ? [known.kind] : []))
    .join(", ");
}
