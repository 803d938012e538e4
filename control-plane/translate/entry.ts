import type { AccessControl } from "../../common/model/authorization.ts";
import type { FilterChain, HttpConnectionManager, Listener } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { PathNormalization } from "../../common/model/request-entry.ts";
import { defaultEdgeRules } from "../snapshot/mesh-settings.ts";
import type { MeshSettings, Snapshot } from "../snapshot/snapshot.ts";
import { accessFor } from "./access.ts";

interface Entered {
  readonly inputs: readonly unknown[];
  readonly listener: Listener;
}

/** By the listener as it was translated, which stays the same object while nothing else about it changes. */
const entered = new WeakMap<Listener, Entered>();

/** Adds to a listener what is done with whatever comes in, before it is routed: one form of paths, limits for strangers, who may call. */
export function withEntry(snapshot: Snapshot, node: ProxyNode, listener: Listener): Listener {
  const judges = listener.direction !== "outbound";
  const http = judges ? accessFor(snapshot, node, "http") : undefined;
  const tcp = judges ? accessFor(snapshot, node, "tcp") : undefined;
  const inputs = [snapshot.settings, http, tcp];
  const known = entered.get(listener);
  if (known?.inputs.every((input, index) => input === inputs[index])) return known.listener;
  const entry = entryOf(snapshot.settings, listener.direction, http);
  const next = {
    ...listener,
    filterChains: listener.filterChains.map((chain): FilterChain => {
      if (chain.http) return { ...chain, http: { ...chain.http, ...entry } };
      return tcp === undefined ? chain : { ...chain, access: tcp };
    }),
  };
  entered.set(listener, { inputs, listener: next });
  return next;
}

/** What paths become where a proxy takes requests in. */
export function pathNormalization(settings: MeshSettings, kind: ProxyNode["kind"]): PathNormalization {
  if (kind === "gateway") return (settings.edge ?? defaultEdgeRules).path;
  const mode = settings.pathNormalization ?? "base";
  return {
    mode,
    parameters: settings.pathParameters ?? "keep",
    escapedSlashes: mode === "decode-and-merge-slashes" ? "unescape-and-forward" : "keep",
  };
}

function entryOf(
  settings: MeshSettings,
  direction: Listener["direction"],
  access: AccessControl | undefined,
): Pick<HttpConnectionManager, "path" | "edge" | "access"> {
  const path = pathNormalization(settings, direction === "gateway" ? "gateway" : "sidecar");
  const changesNothing = path.mode === "none" && path.parameters === "keep" && path.escapedSlashes === "keep";
  return {
    ...(changesNothing ? {} : { path }),
    ...(direction === "gateway" ? { edge: (settings.edge ?? defaultEdgeRules).settings } : {}),
    ...(access === undefined ? {} : { access }),
  };
}
