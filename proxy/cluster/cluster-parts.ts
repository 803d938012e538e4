import type { Clock } from "../../common/base/clock.ts";
import type { Random } from "../../common/base/random.ts";
import type { Connect, OpenSocket } from "./connect.ts";
import type { PoolSettings } from "./pool.ts";
import type { AddressResolver } from "./resolver.ts";

/** What every cluster of a proxy uses. */
export interface ClusterParts {
  readonly connect: Connect;
  /** For health checks that speak no HTTP/1.1. */
  readonly openSocket: OpenSocket;
  /** A health check changed what an endpoint counts as. */
  readonly onHealthChange?: (change: EndpointHealthChange) => void;
  readonly resolver: AddressResolver;
  readonly pool: PoolSettings;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether this proxy itself listens there: a request that it sends to itself would go round for ever. */
  readonly isOwnListener: (address: string, port: number) => boolean;
}

/** For the log. */
export interface EndpointHealthChange {
  readonly cluster: string;
  /** `10.0.0.1:9080` */
  readonly endpoint: string;
  readonly isWell: boolean;
  /** Why it is not, such as `status 503`. */
  readonly why: string;
}
