import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, startChild, untilListening } from "../support/children.ts";
import { proxyCore } from "../support/cores.ts";
import { installEnvoy } from "../support/install.ts";
import { scratchFolder } from "../support/scratch.ts";
import type { PeerKind } from "./peer.ts";
import { benchHost, routePrefixes } from "./peer.ts";

export const envoy: PeerKind = {
  name: "Envoy",
  does: "100 routes, router filter, Envoy's own statistics; one worker",
  install: installEnvoy,
  async start(backendPort) {
    const installed = await installEnvoy();
    if (!installed.ok) throw new Error(installed.why);
    const port = await freePort();
    const file = join(scratchFolder(), "envoy.json");
    writeFileSync(file, JSON.stringify(bootstrap(port, backendPort)));
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
  },
};

function bootstrap(port: number, backendPort: number): object {
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
