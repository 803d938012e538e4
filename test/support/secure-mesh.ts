import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ControlPlaneClient } from "../../cli/control-plane-client.ts";
import { joinTokenSum, makeJoinToken } from "../../common/identity/join-token.ts";
import type { ControlPlane } from "../../control-plane/app.ts";
import { startControlPlane } from "../../control-plane/app.ts";
import type { Lifetimes } from "../../control-plane/ca/authority.ts";
import { defaultLifetimes } from "../../control-plane/ca/authority.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import { startProxy } from "../../proxy/app.ts";
import { readProxySettings } from "../../proxy/config.ts";

/** A mesh in this process whose proxies have identities: a control plane with an authority, and sidecars. */
export interface SecureMesh {
  readonly folder: string;
  readonly controlPlane: ControlPlane;
  /** What control plane said. */
  readonly log: readonly string[];
  /** Applies YAML as `weft apply` does; resolves when all proxies run it. */
  apply(yaml: string): Promise<void>;
  remove(kind: "PeerAuthentication" | "DestinationRule", namespace: string, name: string): Promise<void>;
  /** A sidecar of its own identity; `app`: port of the app beside it. Resolves when it is ready. */
  sidecar(name: string, serviceAccount: string, app: number): Promise<ProxyApp>;
  /** The files by which a workload proves who it is. */
  credentials(serviceAccount: string): { readonly token: string; readonly rootCert: string };
  stop(): Promise<void>;
}

export async function startSecureMesh(
  lifetimes: Lifetimes = defaultLifetimes,
  identity: { readonly trustDomain?: string; readonly trustDomainAliases?: readonly string[] } = {},
): Promise<SecureMesh> {
  const folder = mkdtempSync(join(tmpdir(), "weft-secure-"));
  const owners: Record<string, object> = {};
  const tokensFile = join(folder, "owners.json");
  writeFileSync(tokensFile, "{}");
  const log: string[] = [];
  const write = (message: string) => void log.push(message);
  const { trustDomain = "cluster.local", trustDomainAliases = [] } = identity;
  const controlPlane = await startControlPlane(
    {
      config: [],
      xds: { host: "127.0.0.1", port: 0 },
      http: { host: "127.0.0.1", port: 0 },
      secureXds: { host: "127.0.0.1", port: 0 },
      identity: { trustDomain, trustDomainAliases, serverNames: [], joinTokens: tokensFile, lifetimes },
      mesh: {
        rootNamespace: "istio-system",
        outboundPolicy: "allow-any",
        trustDomains: [trustDomain, ...trustDomainAliases],
      },
      state: join(folder, "control-plane"),
      logLevel: "info",
      logFormat: "text",
      quietMs: 1,
      maxDelayMs: 5,
    },
    { log: { debug: () => {}, info: write, warn: write, error: write } },
  );
  const proxies: ProxyApp[] = [];
  let made = 0;
  const credentials = (serviceAccount: string) => {
    const text = makeJoinToken();
    owners[joinTokenSum(text)] = { namespace: "shop", serviceAccount };
    writeFileSync(tokensFile, JSON.stringify(owners));
    const token = join(folder, `${made++}.token`);
    writeFileSync(token, text);
    return { token, rootCert: join(folder, "control-plane", "ca", "root-cert.pem") };
  };
  const client = new ControlPlaneClient({ controlPlane: `127.0.0.1:${controlPlane.http.port}` }, "test");
  return {
    folder,
    controlPlane,
    log,
    credentials,
    async apply(yaml) {
      const answer = await client.apply([{ file: "test.yaml", text: yaml }], 20_000);
      if (answer.settled?.complete !== true) throw new Error(JSON.stringify(answer));
    },
    async remove(kind, namespace, name) {
      await client.delete(kind, namespace, name, 20_000);
    },
    async sidecar(name, serviceAccount, app) {
      const settings = readProxySettings({
        kind: "sidecar",
        name,
        namespace: "shop",
        serviceAccount,
        labels: `app=${serviceAccount}`,
        controlPlane: `127.0.0.1:${controlPlane.secureXds!.port}`,
        outbound: `127.0.0.1:${await freePort()}`,
        inbound: `127.0.0.1:${await freePort()}`,
        app: `127.0.0.1:${app}`,
        admin: "127.0.0.1:0",
        logLevel: "silent",
        ...credentials(serviceAccount),
      });
      if (!settings.ok) throw new Error(JSON.stringify(settings.problems));
      const proxy = await startProxy(settings.value);
      proxies.push(proxy);
      await proxy.whenReady();
      return proxy;
    },
    async stop() {
      await Promise.all(proxies.map((proxy) => proxy.stop()));
      await controlPlane.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Config names ports, so a proxy can't be left to choose. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
