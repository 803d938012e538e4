import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, startChild, untilListening } from "../support/children.ts";
import { proxyCore } from "../support/cores.ts";
import { installEnvoy } from "../support/install.ts";
import { scratchFolder } from "../support/scratch.ts";
import type { Peer, PeerKind } from "./peer.ts";
import { benchHost, routePrefixes } from "./peer.ts";

export const envoy: PeerKind = envoyTo("HTTP/1.1");

/** HTTP/2 to the backend; clients may speak either. */
export const envoyHttp2: PeerKind = envoyTo("HTTP/2");

function envoyTo(protocol: "HTTP/1.1" | "HTTP/2"): PeerKind {
  return {
    name: "Envoy",
    does: "100 routes, router filter, Envoy's own statistics; one worker",
    install: installEnvoy,
    start: (backendPort) => startEnvoy(backendPort, protocol),
  };
}

async function startEnvoy(backendPort: number, protocol: "HTTP/1.1" | "HTTP/2"): Promise<Peer> {
  const installed = await installEnvoy();
  if (!installed.ok) throw new Error(installed.why);
  const port = await freePort();
  const file = join(scratchFolder(), "envoy.json");
  writeFileSync(file, JSON.stringify(bootstrap(port, backendPort, protocol)));
  const flags = [
    "--config-path",
    file,
    "--concurrency",
    "1",
    "--use-dynamic-base-id",
    "--log-level",
    "error",
  ];
  const child = startChild(installed.path, flags, { core: proxyCore });
  await untilListening(port, child);
  return { port, pid: child.pid, stop: () => child.stop() };
}

function bootstrap(port: number, backendPort: number, protocol: "HTTP/1.1" | "HTTP/2"): object {
  return {
    static_resources: {
      listeners: [
        {
          name: "in",
          address: socketAddress(port),
          filter_chains: [{ filters: [connectionManager()] }],
        },
      ],
      clusters: [
        {
          name: "backend",
          type: "STATIC",
          connect_timeout: "5s",
          lb_policy: "LEAST_REQUEST",
          ...(protocol === "HTTP/2" ? http2Options : {}),
          circuit_breakers: {
            thresholds: [{ max_connections: 4096, max_pending_requests: 4096, max_requests: 4096 }],
          },
          load_assignment: {
            cluster_name: "backend",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(backendPort) } }] }],
          },
        },
      ],
    },
  };
}

const httpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
/** What makes an Envoy's cluster speak HTTP/2. */
export const http2Options = {
  typed_extension_protocol_options: {
    [httpOptions]: {
      "@type": `type.googleapis.com/${httpOptions}`,
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

function connectionManager(): object {
  const type = "type.googleapis.com/envoy.extensions.filters";
  return {
    name: "envoy.filters.network.http_connection_manager",
    typed_config: {
      "@type": `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: "in",
      route_config: {
        name: "routes",
        virtual_hosts: [
          {
            name: "backend",
            domains: [benchHost],
            routes: routePrefixes(100).map((prefix) => ({
              match: { prefix },
              route: { cluster: "backend", timeout: "0s" },
            })),
          },
        ],
      },
      http_filters: [
        { name: "envoy.filters.http.router", typed_config: { "@type": `${type}.http.router.v3.Router` } },
      ],
    },
  };
}

function socketAddress(port: number): object {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}
