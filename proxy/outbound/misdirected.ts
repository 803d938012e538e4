import type { FilterChain } from "../../common/model/listener.ts";
import { meshError } from "../errors.ts";
import type { Layer } from "../http/layer.ts";
import { chainForName } from "../net/choose-chain.ts";

/**
 * Answers 421 (RFC 9110 15.5.20) to a request for a host whose connections another chain takes. Browsers send it on the connection that
 * they have when one certificate is good for both hosts; with 404 (Envoy, Istio) they would not try again on another, and a
 * chain that asks for client certificates could be got round.
 */
export function refuseMisdirected(chain: FilterChain, chains: readonly FilterChain[]): Layer {
  return (next) => (exchange) => {
    const host = hostOf(exchange.authority);
    if (host === exchange.downstream.serverName) return next(exchange);
    const proper = chainForName(chains, host);
    if (proper === undefined || proper === chain) return next(exchange);
    return Promise.reject(meshError("misdirected_request", "server_name_mismatch"));
  };
}

function hostOf(authority: string): string {
  return authority.replace(/:\d*$/, "").toLowerCase().replace(/\.$/, "");
}
