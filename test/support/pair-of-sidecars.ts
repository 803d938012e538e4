import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Child } from "../../bench/support/children.ts";
import { freePort, startChild } from "../../bench/support/children.ts";
import { joinTokenSum, makeJoinToken } from "../../common/identity/join-token.ts";

/** A client's sidecar and a server's, processes of their own, with mutual TLS between them. */
export interface PairOfSidecars {
  /** Where the client's takes requests; the service is `review:9080`. */
  readonly port: number;
  /** Resident memory of the client's sidecar and of the server's. */
  rssBytes(): readonly number[];
  stop(): Promise<void>;
}

/** `app`: port of the app behind the server's sidecar. `rules`: YAML besides the service. Resolves when a request is answered. */
export async function startPairOfSidecars(app: number, rules = ""): Promise<PairOfSidecars> {
  const folder = mkdtempSync(join(tmpdir(), "weft-pair-"));
  const ports = await Promise.all(Array.from({ length: 6 }, freePort));
  const [xds, http, secure, outbound, inbound, admin] = ports.map((port) => `127.0.0.1:${port}`) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const owners: Record<string, object> = {};
  const tokenOf = (serviceAccount: string): string => {
    const token = makeJoinToken();
    owners[joinTokenSum(token)] = { namespace: "shop", serviceAccount };
    const file = join(folder, `${serviceAccount}.token`);
    writeFileSync(file, token, { mode: 0o600 });
    return file;
  };
  const tokens = { product: tokenOf("product"), review: tokenOf("review") };
  writeFileSync(join(folder, "owners.json"), JSON.stringify(owners));
  writeFileSync(join(folder, "mesh.yaml"), [service(ports[4]!), rules].join("\n---\n"));
  const state = join(folder, "state");
  const weft = (args: readonly string[]): Child => startChild(process.execPath, ["cli/main.ts", ...args]);
  const children = [
    weft([
      ...[
        "control-plane",
        "--config",
        join(folder, "mesh.yaml"),
        "--state",
        state,
        "--xds",
        xds,
        "--http",
        http,
      ],
      ...["--secure-xds", secure, "--join-tokens", join(folder, "owners.json")],
    ]),
  ];
  const stop = async (): Promise<void> => {
    await Promise.all(children.map((child) => child.stop()));
    rmSync(folder, { recursive: true, force: true });
  };
  const sidecar = (name: "product" | "review", options: readonly string[]): Child => {
    const child = weft([
      ...["proxy", "--name", `${name}-v1`, "--namespace", "shop", "--service-account", name],
      ...["--labels", `app=${name}`, "--control-plane", secure, "--log-level", "warn"],
      ...["--token", tokens[name], "--root-cert", join(state, "ca", "root-cert.pem"), ...options],
    ]);
    children.push(child);
    return child;
  };
  try {
    await untilOk(http, "/ready", children[0]!);
    const server = sidecar("review", ["--inbound", inbound, "--app", `127.0.0.1:${app}`, "--admin", admin]);
    await untilOk(admin, "/ready", server);
    const client = sidecar("product", ["--outbound", outbound]);
    await untilOk(outbound, "/small", client, "review:9080");
    return { port: ports[3]!, rssBytes: () => [client, server].map(({ pid }) => rssOf(pid)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function rssOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1024;
}

async function untilOk(address: string, path: string, child: Child, name = "localhost"): Promise<void> {
  const [host, port] = address.split(":");
  for (let tries = 0; tries < 1_500; tries++) {
    if (!child.isRunning()) throw new Error(`it ended before it was ready:\n${child.output()}`);
    const status = await new Promise<number>((resolve) => {
      const asked = request({ host, port, path, headers: { host: name }, agent: false }, (answer) => {
        answer.resume().on("end", () => resolve(answer.statusCode ?? 0));
      });
      asked.on("error", () => resolve(0)).end();
    });
    if (status === 200) return;
    await wait(20);
  }
  throw new Error(`${address}${path} is not ready:\n${child.output()}`);
}

function service(port: number): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: review, namespace: shop }
spec:
  hosts: [review.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 9080, name: http, protocol: HTTP }]
  workloadSelector: { labels: { app: review } }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: review-v1, namespace: shop }
spec:
  address: 127.0.0.1
  ports: { http: ${port} }
  labels: { app: review, security.istio.io/tlsMode: istio }
  serviceAccount: review
`;
}
