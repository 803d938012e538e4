import type { FilterChain } from "../../common/model/listener.ts";

/**
 * The chain that takes a connection with this TLS server name, or without one: an exact name comes before a wildcard, a longer
 * wildcard before a shorter, and a chain without names takes what is left (Envoy's FilterChainMatch.server_names).
 */
export function chooseChain<C extends Pick<FilterChain, "serverNames">>(
  chains: readonly C[],
  serverName: string | undefined,
): C | undefined {
  if (serverName !== undefined) {
    const exact = chains.find(({ serverNames }) => serverNames?.includes(serverName));
    if (exact !== undefined) return exact;
    for (let dot = serverName.indexOf("."); dot !== -1; dot = serverName.indexOf(".", dot + 1)) {
      const wildcard = `*${serverName.slice(dot)}`;
      const found = chains.find(({ serverNames }) => serverNames?.includes(wildcard));
      if (found !== undefined) return found;
    }
  }
  return chains.find(({ serverNames = [] }) => serverNames.length === 0);
}
