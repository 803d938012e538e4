import { formatProblem } from "../../common/base/problem.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import { typeUrl } from "../../common/xds/type-url.ts";
import { decodeText } from "../../control-plane/resources/decode-text.ts";
import type { Resource } from "../../control-plane/resources/resource.ts";
import { buildSnapshot } from "../../control-plane/snapshot/build.ts";
import type { MeshSettings, Snapshot } from "../../control-plane/snapshot/snapshot.ts";
import { encodeResources } from "../../control-plane/translate/encode.ts";
import { translate } from "../../control-plane/translate/translate.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import { startProxy } from "../../proxy/app.ts";
import type { ProxyOptions, ProxySettings } from "../../proxy/config.ts";
import { toUpdates } from "../../proxy/restore.ts";
import type { ResourceUpdate } from "../../proxy/xds/resource-update.ts";
import { proxySettings } from "./proxy-resources.ts";

/**
 * Resources as their authors write them, and real proxies that run what the control plane makes of them: everything between but the
 * wire, so a test of a field says what comes in and what goes out.
 */
export class YamlMesh {
  readonly #running: {
    readonly node: ProxyNode;
    readonly proxy: ProxyApp;
    had: ReadonlyMap<string, string>;
  }[] = [];
  readonly #settings: MeshSettings | undefined;
  #snapshot: Snapshot | undefined;

  constructor(settings?: MeshSettings) {
    this.#settings = settings;
  }

  /** Takes these resources in place of those before, in every proxy. Throws what the control plane or a proxy refuses. */
  async apply(...texts: readonly string[]): Promise<void> {
    const resources = texts.flatMap((text, index) => decode(text, index));
    this.#snapshot = buildSnapshot(resources, this.#snapshot, this.#settings);
    const errors = this.#snapshot.problems.filter(({ severity = "error" }) => severity === "error");
    if (errors.length > 0) throw new Error(errors.map(formatProblem).join("\n"));
    for (const running of this.#running) running.had = await bring(this.#snapshot, running);
  }

  /** Starts a proxy. Its listeners open free ports, whatever port their bindings say: `proxy.port(name)` tells. */
  async proxy(options: Partial<ProxyOptions> = {}, change: Partial<ProxySettings> = {}): Promise<ProxyApp> {
    const outbound = options.kind === "gateway" ? {} : { outbound: "127.0.0.1:1" };
    const settings = proxySettings({ name: "web", ...outbound, ...options }, change);
    const proxy = await startProxy(settings);
    const running = {
      node: settings.node,
      proxy,
      had: new Map<string, string>() as ReadonlyMap<string, string>,
    };
    this.#running.push(running);
    if (this.#snapshot !== undefined) running.had = await bring(this.#snapshot, running);
    return proxy;
  }

  async stop(): Promise<void> {
    for (const { proxy } of this.#running) await proxy.stop();
  }
}

/** The port of a proxy's first listener. */
export function onlyPort(proxy: ProxyApp): number {
  const names = [...proxy.config().received.listener.keys()];
  return names.map((name) => proxy.port(name)).find((port) => port !== undefined)!;
}

/** A ServiceEntry of namespace `default` whose endpoints are on the loopback address, each with its version. */
export function serviceYaml(
  host: string,
  versions: Readonly<Record<string, number | readonly number[]>>,
  more = "",
): string {
  const endpoints = Object.entries(versions).flatMap(([version, ports]) =>
    [ports]
      .flat()
      .map((port) => `  - { address: 127.0.0.1, ports: { http: ${port} }, labels: { version: ${version} } }`),
  );
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host.replaceAll(/[^a-z0-9-]/g, "-")} }
spec:
  hosts: [${host}]
  location: MESH_INTERNAL
  ports: [{ number: 80, name: http }]
  resolution: STATIC
  endpoints:
${endpoints.join("\n")}
${more}`;
}

/** A resource of Istio's with its spec as YAML, indented or not. */
export function resourceYaml(kind: string, name: string, spec: string): string {
  const group = ["CircuitBreaker", "RateLimit", "Fault"].includes(kind)
    ? "weft.dev/v1alpha1"
    : "networking.istio.io/v1";
  const body = spec.replace(/^\n/, "").split("\n");
  return `\napiVersion: ${group}\nkind: ${kind}\nmetadata: { name: ${name} }\nspec:\n${body.map((line) => `  ${line}`).join("\n")}\n`;
}

function decode(text: string, index: number): readonly Resource[] {
  // Each text is a moment younger than the one before, as written one after the other.
  const { resources, problems } = decodeText(text, `text-${index}.yaml`, { now: index });
  const errors = problems.filter(({ severity = "error" }) => severity === "error");
  if (errors.length > 0) throw new Error(errors.map(formatProblem).join("\n"));
  return resources;
}

/** Brings a proxy what changed for it, in the order that makes before it breaks. */
async function bring(
  snapshot: Snapshot,
  { node, proxy, had }: { node: ProxyNode; proxy: ProxyApp; had: ReadonlyMap<string, string> },
): Promise<ReadonlyMap<string, string>> {
  const encoded = encodeResources(translate(snapshot, node));
  const all = Object.entries(typeUrl).flatMap(([type, url]) =>
    [...(encoded.get(url)?.values() ?? [])].map(({ name, version, bytes }) => ({
      type,
      name,
      version,
      bytes,
    })),
  );
  const changed = all.filter(({ type, name, version }) => had.get(`${type} ${name}`) !== version);
  const { updates, problems } = toUpdates(changed as Parameters<typeof toUpdates>[0]);
  for (const { type, updated } of updates) {
    if (type === "listener")
      for (const received of updated.values()) Object.assign(received.value, { port: 0 });
  }
  if (problems.length > 0) throw new Error(problems.map(formatProblem).join("\n"));
  const now = new Map(all.map(({ type, name, version }) => [`${type} ${name}`, version]));
  const gone = [...had.keys()]
    .filter((key) => !now.has(key))
    .map((key) => key.split(" ") as [string, string]);
  const removals = [...Map.groupBy(gone, ([type]) => type)].map(
    ([type, keys]) =>
      ({ type, updated: new Map(), removed: keys.map(([, name]) => name) }) as unknown as ResourceUpdate,
  );
  for (const update of [...updates, ...removals]) {
    const refused = await proxy.sink.apply(update);
    if (refused.length > 0) throw new Error(`the proxy refuses ${JSON.stringify(refused)}`);
  }
  return now;
}
