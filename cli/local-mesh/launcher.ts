import type { Clock } from "../../common/base/clock.ts";
import { Guard } from "./guard.ts";
import { LogPrefix } from "./log-prefix.ts";
import type { MeshInfo } from "./mesh-folder.ts";
import type { PartsInput } from "./parts.ts";
import { controlPlaneSpec, gatewaySpec, sidecarName, sidecarSpec, workloadSpec } from "./parts.ts";
import type { InstancePorts } from "./port-plan.ts";
import type { ProcessContext, ProcessSpec } from "./process.ts";
import type { ReadyCheck } from "./readiness.ts";
import { httpReady, portOpen, waitReady } from "./readiness.ts";
import type { SupervisorOptions } from "./supervisor.ts";
import { Supervisor } from "./supervisor.ts";

export interface LauncherOptions extends PartsInput {
  readonly clock: Clock;
  readonly isColored: boolean;
  readonly out: (text: string) => void;
}

/** ms that a part is given to finish its requests before it is ended by force. */
const graceMs = { workload: 5000, proxy: 8000, controlPlane: 3000 };
const slowMs = 10_000;

/**
 * Runs a local mesh: control plane first, then gateways and sidecars at once, each workload's command when its sidecar is
 * ready. Down goes the other way: workloads, proxies, control plane.
 */
export class Launcher {
  readonly #options: LauncherOptions;
  readonly #context: ProcessContext;
  readonly #say: (text: string) => void;
  readonly #controlPlane: Supervisor;
  readonly #gateways: readonly Supervisor[];
  readonly #sidecars: readonly Supervisor[];
  readonly #workloads: ReadonlyMap<InstancePorts, Supervisor>;
  readonly #stopping = new AbortController();
  #isReady = false;

  constructor(options: LauncherOptions) {
    const { plan, clock, isColored, out } = options;
    const names = plan.instances.map(({ name }) => sidecarName(name));
    const log = new LogPrefix(
      [...names, ...plan.gateways.map(({ gateway }) => gateway.name), "control-plane"],
      isColored,
      out,
    );
    this.#options = options;
    this.#context = { clock, guard: new Guard(), log };
    const sink = log.sink(log.prefixFor("weft"));
    this.#say = (text) => sink.write(`${text}\n`);
    this.#controlPlane = this.#supervise(controlPlaneSpec(options), "restart");
    this.#gateways = plan.gateways.map((gateway) =>
      this.#supervise(gatewaySpec(options, gateway), "restart"),
    );
    this.#sidecars = plan.instances.map((instance) =>
      this.#supervise(sidecarSpec(options, instance), "restart"),
    );
    this.#workloads = new Map(
      plan.instances.flatMap((instance): [InstancePorts, Supervisor][] => {
        const spec = workloadSpec(options, instance);
        return spec === undefined ? [] : [[instance, this.#supervise(spec, "report")]];
      }),
    );
  }

  /** Resolves when every part is ready; false when it was stopped before. */
  async start(): Promise<boolean> {
    const { plan, clock } = this.#options;
    const begin = clock.monotonic();
    if (!(await this.#startPart(this.#controlPlane, httpReady(plan.http)))) return false;
    const gateways = plan.gateways.map(({ admin }, index) =>
      this.#startPart(this.#gateways[index]!, httpReady(admin)),
    );
    const instances = plan.instances.map(async (instance, index) => {
      if (!(await this.#startPart(this.#sidecars[index]!, httpReady(instance.admin)))) return false;
      const workload = this.#workloads.get(instance);
      if (workload === undefined) {
        this.#say(`${instance.name}: start the app yourself, at port ${instance.app}`);
        return true;
      }
      // A client without a service need not listen at all.
      const check = instance.workload.service === undefined ? async () => undefined : portOpen(instance.app);
      return this.#startPart(workload, check);
    });
    const areReady = (await Promise.all([...gateways, ...instances])).every(Boolean);
    if (!areReady) return false;
    this.#isReady = true;
    this.#writeInfo();
    this.#say(`all parts are ready after ${Math.round(clock.monotonic() - begin)} ms`);
    return true;
  }

  /** Stops everything in order. Resolves when no process is left. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const workloads = [...this.#workloads.values()];
    await Promise.all(workloads.map((workload) => workload.stop(graceMs.workload)));
    await Promise.all([...this.#gateways, ...this.#sidecars].map((proxy) => proxy.stop(graceMs.proxy)));
    await this.#controlPlane.stop(graceMs.controlPlane);
    this.#context.guard.stop();
    this.#options.folder.removeInfo();
    this.#say("all parts have stopped");
  }

  /** Ends everything at once, for those who cannot wait. */
  kill(): void {
    this.#stopping.abort();
    for (const part of [
      ...this.#workloads.values(),
      ...this.#gateways,
      ...this.#sidecars,
      this.#controlPlane,
    ]) {
      part.kill();
    }
  }

  async #startPart(part: Supervisor, check: ReadyCheck): Promise<boolean> {
    const { clock } = this.#options;
    if (this.#stopping.signal.aborted) return false;
    const begin = clock.monotonic();
    part.start();
    const isReady = await waitReady(check, {
      clock,
      slowMs,
      signal: this.#stopping.signal,
      whenSlow: (why) => this.#say(`${part.name} is still not ready after ${slowMs / 1000} s: ${why}`),
    });
    if (isReady) this.#say(`${part.name} ready after ${Math.round(clock.monotonic() - begin)} ms`);
    return isReady;
  }

  #supervise(spec: ProcessSpec, onEnd: SupervisorOptions["onEnd"]): Supervisor {
    return new Supervisor(
      {
        spec,
        onEnd,
        whenEnded: (end, restartInMs) => {
          const then =
            restartInMs === undefined
              ? "it stays down, callers get 503"
              : restartInMs === 0
                ? "starting it again"
                : `starting it again in ${restartInMs} ms`;
          this.#say(`${spec.name} ended (${end.how}); ${then}`);
          this.#writeInfo();
        },
        whenStarted: () => this.#writeInfo(),
      },
      this.#context,
    );
  }

  #writeInfo(): void {
    if (!this.#stopping.signal.aborted) this.#options.folder.writeInfo(this.#info());
  }

  #info(): MeshInfo {
    const { mesh, plan } = this.#options;
    return {
      name: mesh.name,
      pid: process.pid,
      portBase: plan.base,
      isReady: this.#isReady,
      controlPlane: {
        ...pidOf(this.#controlPlane),
        xds: `127.0.0.1:${plan.xds}`,
        secureXds: `127.0.0.1:${plan.secureXds}`,
        http: url(plan.http),
      },
      gateways: plan.gateways.map(({ gateway, admin, servers }, index) => ({
        name: gateway.name,
        ...pidOf(this.#gateways[index]),
        admin: url(admin),
        servers: Object.fromEntries([...servers].map(([server, port]) => [server, url(port)])),
      })),
      sidecars: plan.instances.map(({ name, admin, outbound, inbound }, index) => ({
        name,
        ...pidOf(this.#sidecars[index]),
        admin: url(admin),
        outbound: url(outbound),
        inbound: url(inbound),
      })),
      workloads: plan.instances.map((instance) => ({
        name: instance.name,
        ...(instance.workload.service === undefined ? {} : { service: instance.workload.service.name }),
        ...pidOf(this.#workloads.get(instance)),
        app: url(instance.app),
      })),
    };
  }
}

function pidOf(part: Supervisor | undefined): { readonly pid?: number } {
  return part?.pid === undefined ? {} : { pid: part.pid };
}

function url(port: number): string {
  return `http://127.0.0.1:${port}`;
}
