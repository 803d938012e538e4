import type { Endpoint } from "../../common/model/endpoint.ts";
import type { UpstreamHost } from "../http/exchange.ts";
import type { Balanced } from "./balancers/index.ts";
import type { LatencyAverage } from "./balancers/latency-average.ts";
import { HealthRecord } from "./health/health-record.ts";
import { OutlierRecord } from "./health/outlier.ts";
import type { RequestPool } from "./request-pool.ts";

/** One endpoint at run time: what config says of it, and what happens there now. Outlives updates that keep its address. */
export class EndpointState implements Balanced {
  /** Attempts sent here since the beginning. */
  requests = 0;
  /** Monotonic ms since when it takes traffic without interruption; kept by its cluster. */
  eligibleSince = Number.POSITIVE_INFINITY;
  /** Kept only while its cluster balances by response time. */
  latency: LatencyAverage | undefined = undefined;
  readonly pool: RequestPool;
  readonly outlier = new OutlierRecord();
  readonly health = new HealthRecord();
  #endpoint: Endpoint;
  #host: UpstreamHost;
  readonly #spiffeIds: readonly string[];

  /** `spiffeIds`: those that the endpoint may have; connections within the mesh verify that. */
  constructor(endpoint: Endpoint, pool: RequestPool, spiffeIds: readonly string[] = []) {
    this.#endpoint = endpoint;
    this.#spiffeIds = spiffeIds;
    this.#host = hostOf(endpoint, spiffeIds);
    this.pool = pool;
  }

  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  /** For logs and metric labels; the same object as long as the workload behind the address does not change. */
  get host(): UpstreamHost {
    return this.#host;
  }

  get weight(): number {
    return this.#endpoint.weight;
  }

  get key(): string {
    return this.#host.address;
  }

  get priority(): number {
    return this.#endpoint.priority ?? 0;
  }

  get localityKey(): string {
    const { region = "", zone = "", subzone = "" } = this.#endpoint.locality ?? {};
    return `${region}/${zone}/${subzone}`;
  }

  get localityWeight(): number | undefined {
    return this.#endpoint.localityWeight;
  }

  get isLeaving(): boolean {
    return this.#endpoint.health === "draining";
  }

  get active(): number {
    return this.pool.active;
  }

  get isEligible(): boolean {
    return this.#endpoint.health === "healthy" && this.health.isWell && !this.outlier.isEjected;
  }

  /** New config for the same address. */
  update(endpoint: Endpoint): void {
    if (endpoint === this.#endpoint) return;
    if (endpoint.workload !== this.#endpoint.workload) this.#host = hostOf(endpoint, this.#spiffeIds);
    this.#endpoint = endpoint;
  }
}

/** `10.0.0.1:9080`, `[::1]:9080`: what makes two endpoints of a cluster the same one. */
export function endpointKey({ address, port }: Pick<Endpoint, "address" | "port">): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function hostOf(endpoint: Endpoint, spiffeIds: readonly string[]): UpstreamHost {
  const { workload } = endpoint;
  const own = workload && `/ns/${workload.namespace}/sa/${workload.serviceAccount}`;
  const spiffeId = own && spiffeIds.find((id) => id.endsWith(own));
  return Object.freeze({
    address: endpointKey(endpoint),
    workload,
    ...(spiffeId && { spiffeId }),
  });
}
