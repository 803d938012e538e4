import type { FilterChain } from "../model/listener.ts";
import type { AccessNotes } from "./access-filters.ts";
import { sourcesOf } from "./access-filters.ts";
import type { Json, JsonObject } from "./weft-metadata.ts";
import { isList, member, sourceFromJson, sourceToJson, text } from "./weft-metadata.ts";

/** What Envoy has no field for in a filter chain. */
export interface ChainNotes extends AccessNotes {
  readonly pathParameters: Json;
}

export function chainNotes(chain: FilterChain): JsonObject {
  const access = chain.http ? chain.http.access : chain.access;
  const policies = sourcesOf(access).map(([name, source]) => ({ name, source: sourceToJson(source) }));
  const parameters = chain.http?.path?.parameters;
  const keys = (access?.jwt?.providers ?? []).map((provider) => provider.keys);
  const networks = [...new Set(keys.flatMap((key) => (key.kind === "remote" ? key.networks : [])))];
  return {
    source: sourceToJson(chain.source),
    ...(policies.length > 0 ? { policies } : {}),
    ...(parameters === undefined || parameters === "keep" ? {} : { pathParameters: parameters }),
    ...(networks.length > 0 ? { jwksNetworks: networks } : {}),
  };
}

export function fromChainNotes(weft: JsonObject): ChainNotes {
  const policies = member(weft, "policies");
  const networks = member(weft, "jwksNetworks");
  const named = (isList(policies) ? policies : []).flatMap((policy) => {
    const source = sourceFromJson(member(policy, "source"));
    const name = text(policy, "name");
    return source && name !== undefined ? [[name, source] as const] : [];
  });
  return {
    sources: new Map(named),
    jwksNetworks: (isList(networks) ? networks : []).filter((network) => typeof network === "string"),
    pathParameters: member(weft, "pathParameters"),
  };
}
