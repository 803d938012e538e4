import type { ChildProcess, SpawnOptions } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";

const execute = promisify(execFile);
let networks = 0;

/** The user that a pod's sidecar runs as, as in Istio. */
export const sidecarUid = 1337;

export interface PodNetworkOptions {
  /** Of the pods' addresses, `10.77` gives 10.77.0.1 to the hub; default 10.77. */
  readonly prefix?: string;
}

/**
 * Network namespaces of Linux as pods: each has its own loopback, address and packet filter; all are joined by a bridge in a hub
 * namespace of the test's own. Needs root. Nothing of it is seen outside, and `stop` removes it.
 */
export class PodNetwork {
  readonly #hub: string;
  readonly #prefix: string;
  readonly #pods: Pod[] = [];

  private constructor(hub: string, prefix: string) {
    this.#hub = hub;
    this.#prefix = prefix;
  }

  static async create({ prefix = "10.77" }: PodNetworkOptions = {}): Promise<PodNetwork> {
    const hub = `weft-${process.pid}-${++networks}`;
    await execute("ip", ["netns", "add", hub]);
    const network = new PodNetwork(hub, prefix);
    await inside(hub, "ip", "link", "set", "lo", "up");
    await inside(hub, "ip", "link", "add", "bridge", "type", "bridge");
    await inside(hub, "ip", "address", "add", `${prefix}.0.1/16`, "dev", "bridge");
    await inside(hub, "ip", "address", "add", "fd77::1/64", "dev", "bridge", "nodad");
    await inside(hub, "ip", "link", "set", "bridge", "up");
    return network;
  }

  /** The namespace that all pods reach at its first address; the control plane's place. */
  get hub(): Pod {
    return new Pod(this.#hub, `${this.#prefix}.0.1`, "fd77::1");
  }

  /** A pod with an IPv4 and an IPv6 address; whatever else it asks for goes to the hub. */
  async addPod(): Promise<Pod> {
    const number = this.#pods.length + 2;
    const name = `${this.#hub}-${number}`;
    const pod = new Pod(name, `${this.#prefix}.0.${number}`, `fd77::${number.toString(16)}`);
    await execute("ip", ["netns", "add", name]);
    this.#pods.push(pod);
    await inside(this.#hub, "ip", "link", "add", `p${number}`, "type", "veth", "peer", "eth0", "netns", name);
    await inside(this.#hub, "ip", "link", "set", `p${number}`, "master", "bridge", "up");
    await inside(name, "ip", "link", "set", "lo", "up");
    await inside(name, "ip", "address", "add", `${pod.address}/16`, "dev", "eth0");
    await inside(name, "ip", "address", "add", `${pod.address6}/64`, "dev", "eth0", "nodad");
    await inside(name, "ip", "link", "set", "eth0", "up");
    await inside(name, "ip", "route", "add", "default", "via", `${this.#prefix}.0.1`);
    await inside(name, "ip", "-6", "route", "add", "default", "via", "fd77::1");
    return pod;
  }

  async stop(): Promise<void> {
    for (const pod of [...this.#pods, this.hub]) {
      await pod.killAll();
      await execute("ip", ["netns", "delete", pod.namespace]);
    }
  }
}

/** A network namespace with an address of its own. */
export class Pod {
  readonly namespace: string;
  readonly address: string;
  readonly address6: string;

  constructor(namespace: string, address: string, address6: string) {
    this.namespace = namespace;
    this.address = address;
    this.address6 = address6;
  }

  /** Runs a program to its end and answers what it printed; rejects when it fails. */
  async run(program: string, ...args: readonly string[]): Promise<string> {
    return inside(this.namespace, program, ...args);
  }

  /** Starts a program as root, or as another user. */
  spawn(args: readonly string[], options: SpawnOptions & { readonly asUid?: number } = {}): ChildProcess {
    const { asUid, ...rest } = options;
    const as =
      asUid === undefined ? [] : ["setpriv", "--reuid", `${asUid}`, "--regid", `${asUid}`, "--clear-groups"];
    return spawn("ip", ["netns", "exec", this.namespace, ...as, ...args], { stdio: "pipe", ...rest });
  }

  /** Ends every process that still runs in here. */
  async killAll(): Promise<void> {
    const { stdout } = await execute("ip", ["netns", "pids", this.namespace]);
    for (const pid of stdout.split("\n").filter((line) => line !== "")) {
      try {
        process.kill(Number(pid), "SIGKILL");
      } catch {
        // It ended by itself.
      }
    }
  }
}

/** Resolves with the first line that a program prints. */
export async function firstLine(child: ChildProcess): Promise<string> {
  let text = "";
  child.stdout!.setEncoding("utf8");
  while (!text.includes("\n")) {
    const [chunk] = (await Promise.race([
      once(child.stdout!, "data"),
      once(child, "exit").then(([code]) => {
        throw new Error(`it ended with ${String(code)} before it said anything`);
      }),
    ])) as [string];
    text += chunk;
  }
  return text.slice(0, text.indexOf("\n"));
}

async function inside(namespace: string, program: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute("ip", ["netns", "exec", namespace, program, ...args]);
  return stdout;
}
