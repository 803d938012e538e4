import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CapturedMesh, canCapture, until } from "../support/captured-mesh.ts";
import type { Pod } from "../support/pod-network.ts";

const has = (program: string): boolean => {
  try {
    execFileSync("which", [program]);
    return true;
  } catch {
    return false;
  }
};

// Debian's own servers and clients, as they are.
describe.runIf(canCapture)("databases behind captured connections, with mutual TLS", () => {
  let mesh: CapturedMesh;
  let client: Pod;
  let server: Pod;

  beforeAll(async () => {
    mesh = await CapturedMesh.start({ prefix: "10.80" });
    client = await mesh.addPod();
    server = await mesh.addPod();
    await mesh.startSidecar(client, "client");
    await mesh.startSidecar(server, "server");
    await mesh.apply(resources(server.address));
  });

  afterAll(async () => {
    await mesh?.stop();
  });

  it.runIf(has("redis-server") || process.env["CI"])("serves Redis's client", async () => {
    const folder = join(mesh.folder, "redis");
    mkdirSync(folder);
    server.spawn([
      "redis-server",
      "--protected-mode",
      "no",
      "--bind",
      "0.0.0.0",
      "--dir",
      folder,
      "--save",
      "",
    ]);
    const redis = (...args: readonly string[]) => client.run("redis-cli", "-h", "cache", ...args);
    await until(async () => expect((await redis("ping")).trim()).toBe("PONG"), "Redis");
    expect((await redis("set", "name", "weft")).trim()).toBe("OK");
    expect((await redis("get", "name")).trim()).toBe("weft");
    await expectSecured();
  });

  it.runIf(has("mariadbd") || process.env["CI"])(
    "serves MariaDB's client, whose server speaks first",
    async () => {
      const folder = join(mesh.folder, "mariadb");
      mkdirSync(folder);
      chmodSync(folder, 0o777);
      const data = `--datadir=${folder}`;
      await server.run(
        "mariadb-install-db",
        "--user=root",
        data,
        "--skip-test-db",
        "--auth-root-authentication-method=normal",
      );
      const init = "CREATE USER app@'%'; GRANT ALL ON *.* TO app@'%';";
      const options = [
        "--user=root",
        data,
        `--socket=${folder}/socket`,
        `--pid-file=${folder}/pid`,
        "--bind-address=*",
      ];
      server.spawn(["mariadbd", "--no-defaults", ...options]);
      const own = ["--no-defaults", `--socket=${folder}/socket`, "-uroot", "-e", init];
      await until(() => server.run("mariadb", ...own), "MariaDB");
      const begin = performance.now();
      const heard = await client.run("mariadb", "--no-defaults", "-hdatabase", "-uapp", "-Ne", "SELECT 6*7");
      expect(heard.trim()).toBe("42");
      expect(performance.now() - begin).toBeLessThan(10_000);
      await expectSecured();
    },
  );

  /** Every connection that the server's sidecar took proved who it is. */
  async function expectSecured(): Promise<void> {
    const lines = await mesh.metrics(server, "istio_tcp_connections_opened_total{", 'reporter="destination"');
    const taken = lines.filter((line) => !line.includes("BlackHoleCluster"));
    expect(taken.length).toBeGreaterThan(0);
    expect(taken.filter((line) => !line.includes('connection_security_policy="mutual_tls"'))).toEqual([]);
  }
});

function resources(address: string): string {
  const entry = (name: string, port: number, protocol: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: shop }
spec:
  hosts: [${name}.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: ${port}, name: ${protocol.toLowerCase()}, protocol: ${protocol} }]
  endpoints:
    - { address: ${address}, serviceAccount: server, labels: { app: server, security.istio.io/tlsMode: istio } }
`;
  return [entry("cache", 6379, "REDIS"), entry("database", 3306, "MYSQL")].join("---");
}
