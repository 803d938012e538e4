import type { ChildProcess } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { joinTokenSum, makeJoinToken } from "../../common/identity/join-token.ts";
import type { Pod } from "./pod-network.ts";
import { firstLine, PodNetwork, sidecarUid } from "./pod-network.ts";

const weft = [process.execPath, "cli/main.ts"] as const;

/** Whether network namespaces and packet filters can be had: capture is a matter of Linux, which only root may change. */
export const canCapture = process.platform === "linux" && process.getuid?.() === 0;

export interface CapturedMeshOptions {
  /** Of the pods' addresses; test files that run at once need others. */
  readonly prefix: string;
  /** Default: every pod has an identity of the mesh. */
  readonly hasIdentities?: boolean;
  readonly outboundPolicy?: "allow-any" | "registry-only";
}

/** Pods whose connections are captured, each with a sidecar, and a control plane in the hub that all of them reach. */
export class CapturedMesh {
  readonly network: PodNetwork;
  readonly folder: string;
  readonly #options: CapturedMeshOptions;
  readonly #owners: Record<string, object> = {};
  readonly #sidecars = new Map<Pod, ChildProcess>();
  #said = "";

  private constructor(network: PodNetwork, options: CapturedMeshOptions) {
    this.network = network;
    this.folder = mkdtempSync(join(tmpdir(), "weft-captured-"));
    this.#options = options;
    // The sidecars are not root.
    chmodSync(this.folder, 0o755);
    writeFileSync(join(this.folder, "owners.json"), "{}");
  }

  static async start(options: CapturedMeshOptions): Promise<CapturedMesh> {
    const network = await PodNetwork.create({ prefix: options.prefix });
    const mesh = new CapturedMesh(network, options);
    const { hub } = network;
    const settings = {
      "--xds": `${hub.address}:15010`,
      "--secure-xds": `${hub.address}:15012`,
      "--server-name": hub.address,
      "--join-tokens": join(mesh.folder, "owners.json"),
      "--http": "127.0.0.1:15014",
      "--state": join(mesh.folder, "control-plane"),
      "--outbound-traffic-policy": options.outboundPolicy ?? "allow-any",
    };
    mesh.#listen(hub.spawn([...weft, "control-plane", ...Object.entries(settings).flat()]));
    await until(() => hub.run("curl", "-sf", "http://127.0.0.1:15014/ready"), `control plane: ${mesh.#said}`);
    for (const path of [".", "ca"]) chmodSync(join(mesh.folder, "control-plane", path), 0o755);
    chmodSync(join(mesh.folder, "control-plane", "ca", "root-cert.pem"), 0o644);
    return mesh;
  }

  /** Everything that the parts have written. */
  get said(): string {
    return this.#said;
  }

  /** A pod with rules that capture; its sidecar comes with `startSidecar`. */
  async addPod(...captureOptions: readonly string[]): Promise<Pod> {
    const pod = await this.network.addPod();
    await pod.run(...weft, "capture", "--dns", ...captureOptions);
    return pod;
  }

  /** A program of the pod, as root; resolves when it has printed a line. */
  async startApp(pod: Pod, ...args: readonly string[]): Promise<void> {
    await firstLine(pod.spawn([process.execPath, ...args]));
  }

  /** Resolves when it is ready; one that ran before is ended first. */
  async startSidecar(pod: Pod, name: string, options: readonly string[] = []): Promise<void> {
    const before = this.#sidecars.get(pod);
    if (before !== undefined) {
      const gone = new Promise((resolve) => before.once("exit", resolve));
      before.kill("SIGTERM");
      await gone;
    }
    const hasIdentity = this.#options.hasIdentities !== false;
    const settings = {
      "--name": name,
      "--namespace": "shop",
      "--service-account": name,
      "--labels": `app=${name}`,
      "--capture": "on",
      "--admin": "127.0.0.1:15000",
      "--control-plane": `${this.network.hub.address}:${hasIdentity ? 15_012 : 15_010}`,
      ...(hasIdentity ? this.#credentials(name) : {}),
    };
    const args = [...weft, "proxy", ...Object.entries(settings).flat(), ...options];
    const child = pod.spawn(args, { asUid: sidecarUid });
    this.#listen(child);
    this.#sidecars.set(pod, child);
    await until(
      () => pod.run("curl", "-sf", "http://127.0.0.1:15000/ready"),
      `sidecar ${name}`,
      () => this.#said,
    );
  }

  /** Applies YAML; resolves when all proxies run it, unless that is not awaited. */
  async apply(yaml: string, isAwaited = true): Promise<void> {
    mkdirSync(join(this.folder, "applied"), { recursive: true });
    const file = join(this.folder, "applied", "resources.yaml");
    writeFileSync(file, yaml);
    await this.network.hub.run(
      ...weft,
      "apply",
      "-f",
      file,
      ...(isAwaited ? ["--wait"] : []),
      "--control-plane",
      "127.0.0.1:15014",
    );
  }

  /** The lines of a pod's metrics that hold all of these. */
  async metrics(pod: Pod, ...parts: readonly string[]): Promise<readonly string[]> {
    const text = await pod.run("curl", "-s", "http://127.0.0.1:15000/stats/prometheus");
    return text.split("\n").filter((line) => parts.every((part) => line.includes(part)));
  }

  async stop(): Promise<void> {
    await this.network.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #credentials(name: string): Record<string, string> {
    const token = makeJoinToken();
    this.#owners[joinTokenSum(token)] = { namespace: "shop", serviceAccount: name };
    writeFileSync(join(this.folder, "owners.json"), JSON.stringify(this.#owners));
    const file = join(this.folder, `${name}.token`);
    writeFileSync(file, token);
    return { "--token": file, "--root-cert": join(this.folder, "control-plane", "ca", "root-cert.pem") };
  }

  #listen(child: ChildProcess): void {
    for (const stream of [child.stdout!, child.stderr!])
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#said += text;
      });
  }
}

/** Asks again until it does not reject; the test's own time-out bounds it. */
export async function until<T>(
  ask: () => Promise<T>,
  what: string,
  more: () => string = () => "",
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask();
    } catch (cause) {
      if (attempt >= 150) throw new Error(`${what} did not come: ${String(cause)}\n${more()}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
