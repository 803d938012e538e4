import type { ConnectionPool } from "../../common/model/connection-pool.ts";

/** What all endpoints of a cluster have under way together, and how much of it is allowed (Envoy's circuit breakers). */
export class ClusterLoad {
  limits: ConnectionPool = {};
  /** Open and opening. */
  connections = 0;
  /** Requests that wait for a connection. */
  pending = 0;
  /** Requests under way, waiting ones included. */
  requests = 0;
}
