import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../common/base/clock.ts";
import { joinTokenSum, makeJoinToken } from "../../common/identity/join-token.ts";
import { CertificateAuthority, defaultLifetimes } from "../../control-plane/ca/authority.ts";
import { createAuthorityFolder } from "../../control-plane/ca/authority-folder.ts";
import { freePort, startChild, untilListening } from "../support/children.ts";
import { proxyCore } from "../support/cores.ts";
import { installEnvoy } from "../support/install.ts";
import { scratchFolder } from "../support/scratch.ts";
import { direct } from "./direct.ts";
import { http2Options } from "./envoy.ts";
import type { Peer, PeerKind } from "./peer.ts";
import { benchHost, benchPath, routePrefixes } from "./peer.ts";
import { meshConfig, startControlPlane, startWeft, untilStatus } from "./weft.ts";

/** The client's sidecar and the server's, both on the proxy core, with mutual TLS between them as in any Weft mesh. */
export const weftTwoHops: PeerKind = weftPair(
  "Weft",
  "client's and server's sidecar, 100 routes, mutual TLS 1.3 and one shared connection between, Istio's metrics",
);

/** The same where requests have connections of their own: what sharing is worth. */
export const weftTwoHopsUnshared: PeerKind = weftPair(
  "Weft unshared",
  "the same with `h2UpgradePolicy: DO_NOT_UPGRADE`: HTTP/1.1 between",
  unshared(),
);

function unshared(): string {
  const trafficPolicy = { connectionPool: { http: { h2UpgradePolicy: "DO_NOT_UPGRADE" } } };
  return JSON.stringify({
    apiVersion: "networking.istio.io/v1",
    kind: "DestinationRule",
    metadata: { name: "backend", namespace: "bench" },
    spec: { host: benchHost, trafficPolicy },
  });
}

function weftPair(name: string, does: string, ...rules: readonly string[]): PeerKind {
  const install: PeerKind["install"] = async () => ({ ok: true, path: "", version: "" });
  return { name, does, install, start: (backendPort) => startWeftPair(backendPort, rules) };
}

async function startWeftPair(backendPort: number, rules: readonly string[]): Promise<Peer> {
  const [secure, inbound, outbound, admin] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const folder = scratchFolder();
  const owners: Record<string, object> = {};
  const tokenOf = (serviceAccount: string): string => {
    const token = makeJoinToken();
    owners[joinTokenSum(token)] = { namespace: "bench", serviceAccount };
    writeFileSync(join(folder, serviceAccount), token, { mode: 0o600 });
    return join(folder, serviceAccount);
  };
  const tokens = { client: tokenOf("client"), backend: tokenOf("backend") };
  writeFileSync(join(folder, "owners.json"), JSON.stringify(owners));
  const state = scratchFolder();
  const yaml = meshConfig(inbound, 100).replace(
    '"labels":{"app":"backend","version":"v1"}',
    '"labels":{"app":"backend","version":"v1","security.istio.io/tlsMode":"istio"},"serviceAccount":"backend"',
  );
  const controlPlane = await startControlPlane([yaml, ...rules].join("\n---\n"), {
    options: [
      ...["--secure-xds", `127.0.0.1:${secure}`, "--join-tokens", join(folder, "owners.json")],
      ...["--state", state],
    ],
  });
  const common = (serviceAccount: "client" | "backend") => [
    "proxy",
    ...["--name", `${serviceAccount}-v1`, "--namespace", "bench", "--service-account", serviceAccount],
    ...["--labels", `app=${serviceAccount},version=v1`, "--control-plane", `127.0.0.1:${secure}`],
    ...["--token", tokens[serviceAccount], "--root-cert", join(state, "ca", "root-cert.pem")],
  ];
  const server = startWeft(proxyCore, [
    ...common("backend"),
    ...["--inbound", `127.0.0.1:${inbound}`, "--app", `127.0.0.1:${backendPort}`],
    ...["--admin", `127.0.0.1:${admin}`],
  ]);
  const client = startWeft(proxyCore, [...common("client"), "--outbound", `127.0.0.1:${outbound}`]);
  const stop = async (): Promise<void> => {
    await Promise.all([client.stop(), server.stop()]);
    await controlPlane.stop();
  };
  try {
    await untilStatus(200, { port: admin, path: "/ready", host: "localhost" }, server);
    await untilStatus(200, { port: outbound, path: benchPath, host: benchHost }, client);
  } catch (error) {
    await stop();
    throw error;
  }
  return { port: outbound, pid: client.pid, morePids: [server.pid], stop };
}

/** Two Envoys, configured as Istio configures them for this, without its filters. */
export const envoyTwoHops: PeerKind = envoyPair("Envoy", "HTTP/1.1");

/** The same with HTTP/2 between, which Istio does when a DestinationRule says UPGRADE. */
export const envoyTwoHopsHttp2: PeerKind = envoyPair("Envoy h2", "HTTP/2");

type Between = "HTTP/1.1" | "HTTP/2";

function envoyPair(name: string, between: Between): PeerKind {
  return {
    name,
    does: `two of one worker, 100 routes, mutual TLS 1.3 and ${between} between, Envoy's own statistics`,
    install: installEnvoy,
    start: (backendPort) => startEnvoyPair(backendPort, between),
  };
}

async function startEnvoyPair(backendPort: number, between: Between): Promise<Peer> {
  const installed = await installEnvoy();
  if (!installed.ok) throw new Error(installed.why);
  const folder = scratchFolder();
  const secrets = {
    client: await writeSecrets(folder, "client"),
    backend: await writeSecrets(folder, "backend"),
  };
  const [outbound, inbound] = [await freePort(), await freePort()];
  const start = async (name: "client" | "backend", port: number, bootstrap: object) => {
    const file = join(folder, `${name}.json`);
    writeFileSync(file, JSON.stringify(bootstrap));
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
    return child;
  };
  const server = await start("backend", inbound, {
    static_resources: {
      secrets: secrets.backend,
      listeners: [
        listener(inbound, ["/"], tls("Downstream", { prefix: "spiffe://cluster.local/" }, between)),
      ],
      clusters: [cluster(backendPort)],
    },
  });
  const backendId = { exact: "spiffe://cluster.local/ns/bench/sa/backend" };
  const client = await start("client", outbound, {
    static_resources: {
      secrets: secrets.client,
      listeners: [listener(outbound, routePrefixes(100))],
      clusters: [
        {
          ...cluster(inbound, tls("Upstream", backendId, between)),
          ...(between === "HTTP/2" ? http2Options : {}),
        },
      ],
    },
  });
  return {
    port: outbound,
    pid: client.pid,
    morePids: [server.pid],
    stop: async () => {
      await Promise.all([client.stop(), server.stop()]);
    },
  };
}

/** Whom the scenario compares. */
export const twoHopPeers: readonly PeerKind[] = [
  weftTwoHops,
  weftTwoHopsUnshared,
  envoyTwoHops,
  envoyTwoHopsHttp2,
  direct,
];

let authority: Promise<CertificateAuthority> | undefined;

async function writeSecrets(folder: string, serviceAccount: string): Promise<readonly object[]> {
  authority ??= CertificateAuthority.open({
    trustDomain: "cluster.local",
    lifetimes: defaultLifetimes,
    clock: systemClock,
    folder: createAuthorityFolder(scratchFolder()),
    events: { changed: () => {}, said: () => {} },
  });
  const identity = { trustDomain: "cluster.local", namespace: "bench", serviceAccount };
  const { chain, privateKey, roots } = await (await authority).issueOwn({ identity });
  const file = (name: string, text: string) => {
    const filename = join(folder, `${serviceAccount}-${name}.pem`);
    writeFileSync(filename, text, { mode: 0o600 });
    return { filename };
  };
  return [
    {
      name: "default",
      tls_certificate: {
        certificate_chain: file("chain", chain.join("")),
        private_key: file("key", privateKey),
      },
    },
    { name: "ROOTCA", validation_context: { trusted_ca: file("roots", roots.join("")) } },
  ];
}

const types = "type.googleapis.com/envoy.extensions";

function tls(direction: "Upstream" | "Downstream", name: object, between: Between): object {
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": `${types}.transport_sockets.tls.v3.${direction}TlsContext`,
      ...(direction === "Downstream" ? { require_client_certificate: true } : {}),
      common_tls_context: {
        tls_params: { tls_minimum_protocol_version: "TLSv1_3", tls_maximum_protocol_version: "TLSv1_3" },
        tls_certificate_sds_secret_configs: [{ name: "default" }],
        combined_validation_context: {
          default_validation_context: { match_typed_subject_alt_names: [{ san_type: "URI", matcher: name }] },
          validation_context_sds_secret_config: { name: "ROOTCA" },
        },
        alpn_protocols: [between === "HTTP/2" ? "h2" : "http/1.1"],
      },
    },
  };
}

function listener(port: number, prefixes: readonly string[], transportSocket?: object): object {
  const manager = {
    "@type": `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: "in",
    route_config: {
      virtual_hosts: [
        {
          name: "backend",
          domains: ["*"],
          routes: prefixes.map((prefix) => ({
            match: { prefix },
            route: { cluster: "backend", timeout: "0s" },
          })),
        },
      ],
    },
    http_filters: [
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": `${types}.filters.http.router.v3.Router` },
      },
    ],
  };
  return {
    name: "in",
    address: { socket_address: { address: "127.0.0.1", port_value: port } },
    filter_chains: [
      {
        filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }],
        ...(transportSocket && { transport_socket: transportSocket }),
      },
    ],
  };
}

function cluster(port: number, transportSocket?: object): object {
  const address = { socket_address: { address: "127.0.0.1", port_value: port } };
  return {
    name: "backend",
    type: "STATIC",
    connect_timeout: "5s",
    lb_policy: "LEAST_REQUEST",
    circuit_breakers: {
      thresholds: [{ max_connections: 4096, max_pending_requests: 4096, max_requests: 4096 }],
    },
    load_assignment: { cluster_name: "backend", endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    ...(transportSocket && { transport_socket: transportSocket }),
  };
}
