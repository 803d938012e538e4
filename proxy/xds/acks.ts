import type { Problem } from "../../common/base/problem.ts";
import { formatProblem } from "../../common/base/problem.ts";
import type { DeltaResponse } from "../../common/xds/ads.ts";
import { decodeResource } from "../../common/xds/decode-resource.ts";
import type {
  ReceivedResource,
  Rejection,
  ResourceSink,
  ResourceType,
  ResourceUpdate,
} from "./resource-update.ts";
import type { Subscriptions } from "./subscriptions.ts";

/** What became of one response. */
export interface Verdict {
  /** What was handed to the sink. */
  readonly update: ResourceUpdate;
  /** Everything that was refused, by us or by the sink, at most once per resource. */
  readonly rejections: readonly Rejection[];
}

/**
 * Decodes a response and hands what is readable to the sink; the rest is refused, each resource on its own.
 * What is not asked for any more is dropped without a word: it was on its way when its subscription ended.
 */
export async function judgeResponse(
  type: ResourceType,
  response: DeltaResponse,
  subscriptions: Pick<Subscriptions, "versions" | "isAskedFor">,
  sink: ResourceSink,
): Promise<Verdict> {
  const updated = new Map<string, ReceivedResource<never>>();
  const rejections = new Map<string, Rejection>();
  for (const { name, version, bytes } of response.resources) {
    if (!subscriptions.isAskedFor(type, name)) continue;
    const decoded = decodeResource(type, bytes);
    const misnamed = decoded.ok ? nameProblem(type, name, decoded.value) : undefined;
    if (!decoded.ok) rejections.set(name, { name, problems: decoded.problems });
    else if (misnamed) rejections.set(name, { name, problems: [misnamed] });
    else updated.set(name, { value: decoded.value as never, version, bytes: ownCopy(bytes) });
  }
  const held = subscriptions.versions(type);
  const update = {
    type,
    updated,
    removed: response.removed.filter((name) => held.has(name)),
  } as ResourceUpdate;
  for (const rejection of await applyTo(sink, update)) rejections.set(rejection.name, rejection);
  return { update, rejections: [...rejections.values()] };
}

/** A sink that fails has accepted nothing of the update. Empty updates are not worth a call. */
export async function applyTo(sink: ResourceSink, update: ResourceUpdate): Promise<readonly Rejection[]> {
  if (update.updated.size + update.removed.length === 0) return [];
  try {
    return await sink.apply(update);
  } catch (error) {
    const why = `could not be applied: ${error instanceof Error ? error.message : String(error)}`;
    return Array.from(update.updated.keys(), (name) => ({ name, problems: [{ path: "", why }] }));
  }
}

const maxReasonLength = 1000;

/**
 * The NACK's text: every refused resource by its quoted name, because the control plane takes the others of the response for
 * accepted, with the first of its problems.
 */
export function nackMessage(rejections: readonly Rejection[]): string {
  return rejections.map(({ name, problems }) => `${JSON.stringify(name)}: ${reason(problems)}`).join("\n");
}

function reason(problems: readonly Problem[]): string {
  const [first, ...others] = problems;
  if (!first) return "refused";
  const more = others.length > 0 ? ` (and ${others.length} more)` : "";
  return formatProblem(first).slice(0, maxReasonLength) + more;
}

/** Virtual hosts may be named freely behind the slash; all others must be called what they are. */
function nameProblem(type: ResourceType, name: string, value: object): Problem | undefined {
  if (type === "virtual-host") return undefined;
  const own =
    type === "endpoints" ? (value as { cluster: string }).cluster : (value as { name: string }).name;
  return own === name
    ? undefined
    : { path: "name", why: `${JSON.stringify(own)} was sent as ${JSON.stringify(name)}` };
}

/** Decoded bytes are a view into the whole message, which would be kept alive by the smallest of its resources. */
function ownCopy(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}
