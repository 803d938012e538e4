import { meshError } from "../errors.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import type { Service } from "../http/layer.ts";
import { peerHeader } from "../http/peer-header.ts";
import { attemptHeader } from "../http/retry-headers.ts";
import { observeAnswer } from "./balancers/observe-answer.ts";
import type { EndpointState } from "./endpoint-state.ts";
import { watchOutcome } from "./health/watch-outcome.ts";
import type { UpstreamCluster } from "./upstream-cluster.ts";

/**
 * One attempt at a cluster: picks an endpoint, notes it on the exchange, sends. Rejects with `no_cluster`, `no_healthy_upstream`,
 * `upstream_overflow`, `connect_*`, the cancel cause, or what `ClientConnection.send` rejects with.
 */
export function sendTo(cluster: UpstreamCluster): Service {
  return (exchange) => {
    exchange.cluster = cluster.name;
    if (cluster.isWarm && cluster.originalDestination === undefined) return sendToPicked(cluster, exchange);
    if (cluster.config === undefined) return Promise.reject(meshError("no_cluster", "cluster_not_found"));
    if (!cluster.isWarm) return sendWhenWarm(cluster, exchange);
    return sendToNamed(cluster, exchange);
  };
}

function sendToPicked(cluster: UpstreamCluster, exchange: Exchange): Promise<Response> {
  let endpoint = cluster.pick(exchange.hashKey);
  const { previousHosts } = exchange;
  if (previousHosts !== undefined) {
    const elsewhere = exchange.leavesPriority ? cluster.pickOtherPriority(previousHosts) : undefined;
    if (elsewhere !== undefined) endpoint = elsewhere;
    // A retry goes somewhere else when there is somewhere else (Envoy's previous_hosts predicate, with Istio's five tries).
    for (
      let tries = 1;
      tries <= 5 && endpoint !== undefined && previousHosts.includes(endpoint.host);
      tries++
    ) {
      endpoint = cluster.pick(exchange.hashKey, tries);
    }
  }
  if (endpoint === undefined) return Promise.reject(meshError("no_healthy_upstream", "no_healthy_endpoint"));
  const { latency } = endpoint;
  const { outlier } = cluster;
  if (latency === undefined && outlier === undefined) return sendToEndpoint(endpoint, exchange);
  const sentAt = cluster.now();
  let answer = sendToEndpoint(endpoint, exchange);
  if (outlier !== undefined) answer = watchOutcome(answer, exchange, endpoint.outlier, outlier);
  if (latency === undefined) return answer;
  observeAnswer(answer, latency, sentAt, () => cluster.now());
  return answer;
}

function sendToEndpoint(endpoint: EndpointState, exchange: Exchange): Promise<Response> {
  exchange.upstream = endpoint.host;
  // Whoever is no known workload of the mesh is not told which workload calls.
  if (endpoint.host.workload === undefined) {
    exchange.headers.remove(peerHeader);
    if (exchange.attempts > 0) exchange.headers.remove(attemptHeader);
  }
  exchange.attempts++;
  endpoint.requests++;
  return endpoint.pool.send(exchange);
}

/** The cluster is known but its endpoints are on their way; seldom, because the control plane sends them before routes. */
function sendWhenWarm(cluster: UpstreamCluster, exchange: Exchange): Promise<Response> {
  const isWarm = new Promise<void>((resolve) => cluster.whenWarm(resolve));
  return wait(exchange, isWarm, () => sendToPicked(cluster, exchange));
}

function sendToNamed(cluster: UpstreamCluster, exchange: Exchange): Promise<Response> {
  const found = cluster.originalDestination!.find(exchange);
  if (!(found instanceof Promise)) return sendToEndpoint(found, exchange);
  return wait(exchange, found, (endpoint) => sendToEndpoint(endpoint, exchange));
}

/** Goes on with `send` unless the attempt is given up before `ready` settles. */
function wait<T>(
  exchange: Exchange,
  ready: Promise<T>,
  send: (value: T) => Promise<Response>,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    let isGivenUp = false;
    exchange.whenCancelled((cause) => {
      isGivenUp = true;
      reject(cause);
    });
    ready.then(
      (value) => {
        if (isGivenUp) return;
        exchange.whenCancelled(undefined);
        resolve(send(value));
      },
      (cause: unknown) => {
        if (!isGivenUp) exchange.whenCancelled(undefined);
        reject(cause);
      },
    );
  });
}
