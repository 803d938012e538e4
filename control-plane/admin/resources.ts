import { isDeepStrictEqual } from "node:util";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../../common/base/clock.ts";
import type { Problem } from "../../common/base/problem.ts";
import type { DecodedText } from "../resources/decode-text.ts";
import { decodeText } from "../resources/decode-text.ts";
import type { Resource, ResourceKey } from "../resources/resource.ts";
import { formatKey } from "../resources/resource.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { ControlPlaneApi } from "./api.ts";
import { listResources, readKind, unknownKind } from "./resource-view.ts";

interface ApplyQuery {
  /** `true`: validate and say what would happen. */
  readonly dryRun?: string;
  /** ms to wait for all proxies. */
  readonly wait?: string;
  /** What problems call the body, such as the name of the file that it was read from. */
  readonly file?: string;
}

interface KeyParams {
  readonly kind: string;
  readonly namespace?: string;
  readonly name?: string;
}

const maxWaitMs = 600_000;

/** `/resources`: apply, delete, look. */
export function addResourceRoutes(app: FastifyInstance, api: ControlPlaneApi, clock: Clock): void {
  app.post("/resources", async (request: FastifyRequest<{ Querystring: ApplyQuery }>, reply) => {
    const wait = readWait(request.query.wait);
    if (typeof wait === "object") return refuse(reply, 400, [wait]);
    const files = filesOf(request.body, request.headers["content-type"], request.query.file);
    if (!Array.isArray(files)) return refuse(reply, 400, [files as Problem]);
    const decoded = decodeFiles(files, clock.now());
    const problems = [...decoded.problems, ...duplicates(decoded.resources)];
    if (problems.some(isError)) return refuse(reply, 400, problems);
    if (decoded.resources.length === 0)
      return refuse(reply, 400, [nothing, ...skippedProblems(decoded.skipped)]);
    const results = decoded.resources.map((resource) => ({
      ...keyOf(resource),
      result: resultOf(api, resource),
    }));
    const shadowed = decoded.resources.flatMap((resource) => shadowing(api, resource));
    const isDryRun = request.query.dryRun === "true";
    const waits = !isDryRun && wait > 0;
    // Who waits is told of the picture that is pushed; making one more beforehand would only hold that up.
    const preview = waits ? undefined : api.preview(decoded.resources);
    const changed = decoded.resources.filter(
      (resource, index) => results[index]!.result !== "unchanged" || hasMoved(api, resource),
    );
    if (!isDryRun && changed.length > 0) await api.write(changed);
    const settled = waits ? await api.settled(wait) : undefined;
    const picture = preview ?? api.snapshot();
    return {
      dryRun: isDryRun,
      resources: results.map((result) => ({ ...result, state: stateIn(picture, result) })),
      problems: [...problems, ...shadowed, ...problemsOf(picture, results)],
      skipped: decoded.skipped,
      ...(settled && { settled }),
    };
  });

  app.delete(
    "/resources/:kind/:namespace/:name",
    async (request: FastifyRequest<{ Params: Required<KeyParams>; Querystring: ApplyQuery }>, reply) => {
      const wait = readWait(request.query.wait);
      if (typeof wait === "object") return refuse(reply, 400, [wait]);
      const kind = readKind(request.params.kind);
      if (kind === undefined) return refuse(reply, 404, [unknownKind(request.params.kind)]);
      const key: ResourceKey = { kind, namespace: request.params.namespace, name: request.params.name };
      const known = api.store.get(key);
      if (known === undefined) return refuse(reply, 404, [unknownResource(key)]);
      const [removed] = await api.remove([key]);
      if (removed === undefined) {
        const { file, line } = known.source;
        const why = `${formatKey(key)} is not from here but from ${file ?? "another source"}${line ? `:${line}` : ""}`;
        return refuse(reply, 409, [{ path: "", why, hint: "remove it there" }]);
      }
      const settled = wait > 0 ? await api.settled(wait) : undefined;
      const back = api.store.get(key);
      return {
        ...key,
        result: "deleted",
        ...(back && { uncovered: back.source }),
        ...(settled && { settled }),
      };
    },
  );

  app.get("/resources", async () => ({ resources: listResources(api) }));

  app.get("/resources/:kind", async (request: FastifyRequest<{ Params: KeyParams }>, reply) => {
    const kind = readKind(request.params.kind);
    if (kind === undefined) return refuse(reply, 404, [unknownKind(request.params.kind)]);
    return { resources: listResources(api).filter((resource) => resource.kind === kind) };
  });

  app.get(
    "/resources/:kind/:namespace/:name",
    async (request: FastifyRequest<{ Params: Required<KeyParams> }>, reply) => {
      const kind = readKind(request.params.kind);
      if (kind === undefined) return refuse(reply, 404, [unknownKind(request.params.kind)]);
      const key: ResourceKey = { kind, namespace: request.params.namespace, name: request.params.name };
      const found = listResources(api).find((resource) => formatKey(resource) === formatKey(key));
      return found ?? refuse(reply, 404, [unknownResource(key)]);
    },
  );
}

/** The body's type when it holds several files: `{"files": [{"file": "a.yaml", "text": "…"}]}`. */
const severalFiles = "application/vnd.weft.files+json";

interface NamedText {
  readonly file: string;
  readonly text: string;
}

/** The texts of a request's body; a Problem when it says that it holds several files and does not. */
function filesOf(body: unknown, type = "", file = "request"): readonly NamedText[] | Problem {
  const text = typeof body === "string" ? body : "";
  if (!type.startsWith(severalFiles)) return [{ file, text }];
  try {
    const { files } = JSON.parse(text) as { files: readonly NamedText[] };
    if (files.every((one) => typeof one.file === "string" && typeof one.text === "string")) return files;
  } catch {
    // Said below.
  }
  return {
    path: "",
    why: `the body is not ${severalFiles}`,
    hint: 'such as {"files": [{"file": "a.yaml", "text": "…"}]}',
  };
}

function decodeFiles(
  files: readonly NamedText[],
  now: number,
): Pick<DecodedText, "resources" | "problems" | "skipped"> {
  const decoded = files.map(({ file, text }) => decodeText(text, file, { now }));
  return {
    resources: decoded.flatMap(({ resources }) => resources),
    problems: decoded.flatMap(({ problems }) => problems),
    skipped: decoded.flatMap(({ skipped }) => skipped),
  };
}

const nothing: Problem = {
  path: "",
  why: "there is no resource in what was sent",
  hint: "a resource has apiVersion, kind and metadata.name",
};

function refuse(reply: FastifyReply, code: number, problems: readonly Problem[]): FastifyReply {
  return reply.code(code).send({ problems });
}

function isError({ severity = "error" }: Problem): boolean {
  return severity === "error";
}

/** ms, 0 for not at all, or what is wrong with it. */
function readWait(text: string | undefined): number | Problem {
  if (text === undefined) return 0;
  const ms = Number(text);
  if (/^\d+$/.test(text) && ms <= maxWaitMs) return ms;
  return { path: "wait", why: `${JSON.stringify(text)} is not a number of ms`, hint: `0 to ${maxWaitMs}` };
}

/** The last of two would win silently. */
function duplicates(resources: readonly Resource[]): Problem[] {
  const seen = new Map<string, Resource>();
  return resources.flatMap((resource) => {
    const key = formatKey(resource);
    const first = seen.get(key);
    seen.set(key, first ?? resource);
    if (first === undefined) return [];
    const { file, line = 1 } = resource.source;
    const where = `${first.source.file ?? ""}:${first.source.line ?? 1}`;
    const why = `${key} is in the request twice, first at ${where}`;
    return { path: "metadata.name", why, hint: "remove one of the two", ...(file && { at: { file, line } }) };
  });
}

function skippedProblems(skipped: readonly { readonly why: string }[]): Problem[] {
  return skipped.map(({ why }) => ({ path: "", why, severity: "warning" }));
}

function resultOf(api: ControlPlaneApi, resource: Resource): "created" | "configured" | "unchanged" {
  const existing = api.store.get(resource);
  if (existing === undefined) return "created";
  return existing.version === resource.version ? "unchanged" : "configured";
}

/** What was applied before stands elsewhere in its author's file now: explain and logs are to name the new place. */
function hasMoved(api: ControlPlaneApi, resource: Resource): boolean {
  const existing = api.store.get(resource);
  if (existing === undefined || api.store.sourceOf(resource) !== "state") return false;
  const placeOf = ({ source, compiled }: Resource) => ({ source, compiled });
  return !isDeepStrictEqual(placeOf(existing), placeOf(resource));
}

function shadowing(api: ControlPlaneApi, resource: Resource): Problem[] {
  const origin = api.store.sourceOf(resource);
  const existing = api.store.get(resource);
  if (existing === undefined || origin === "state" || existing.version === resource.version) return [];
  const { file, line } = existing.source;
  const why = `${formatKey(resource)} now covers the one at ${file ?? origin}${line ? `:${line}` : ""}, whose changes won't show`;
  return [{ path: "", why, hint: `delete ${formatKey(resource)} to uncover it`, severity: "warning" }];
}

function stateIn({ held }: Snapshot, key: ResourceKey): "live" | "pending" {
  return held.some((entry) => formatKey(entry.key) === formatKey(key)) ? "pending" : "live";
}

function problemsOf({ problems }: Snapshot, keys: readonly ResourceKey[]): Problem[] {
  const wanted = new Set(keys.map(formatKey));
  return problems.filter(({ resource }) => wanted.has(formatKey(resource)));
}

function unknownResource(key: ResourceKey): Problem {
  return { path: "", why: `there is no ${formatKey(key)}` };
}

function keyOf({ kind, namespace, name }: ResourceKey): ResourceKey {
  return { kind, namespace, name };
}
