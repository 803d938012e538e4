import type { Endpoint, Labels } from "./endpoint.ts";
import type { Source } from "./source.ts";

/** A destination as the mesh knows it, from a ServiceEntry (later: a Kubernetes Service or a Eureka registration). */
export interface Service {
  /** Fully qualified and lower case, or a wildcard `*.example.com`. */
  readonly hostname: string;
  readonly namespace: string;
  readonly ports: readonly ServicePort[];
  readonly location: "mesh-internal" | "mesh-external";
  readonly resolution: "none" | "static" | "dns" | "dns-round-robin";
  /** Virtual addresses or CIDRs. */
  readonly addresses: readonly string[];
  /** Endpoints written in the resource itself. Per endpoint the port is that of `ServicePort` `portOf`. */
  readonly endpoints: readonly ServiceEndpoint[];
  /** Selects WorkloadEntries of the same namespace; absent when endpoints are written out. */
  readonly workloadSelector?: Labels;
  /** Namespaces that may see it: "*" everyone, "." its own, or names. */
  readonly exportTo: readonly string[];
  /** What its certificate must be for where TLS is spoken to it and the DestinationRule does not say; absent: its own name. */
  readonly subjectAltNames?: readonly string[];
  readonly source: Source;
}

export interface ServicePort {
  readonly number: number;
  readonly name: string;
  readonly protocol: ServiceProtocol;
  /** The port at the endpoint when it differs (ServiceEntry ports[].targetPort). */
  readonly targetPort?: number;
}

/** Istio's protocol names, lower case. */
export type ServiceProtocol =
  | "http"
  | "https"
  | "http2"
  | "grpc"
  | "grpc-web"
  | "tls"
  | "tcp"
  | "mongo"
  | "redis"
  | "mysql"
  | "udp";

/** An endpoint before it is tied to one service port: `ports` overrides by port name (WorkloadEntry.ports). */
export interface ServiceEndpoint extends Omit<Endpoint, "port" | "health"> {
  readonly ports: ReadonlyMap<string, number>;
}

/** Names a service and optionally a subset and port; what a route points to before clusters have names (Istio's Destination). */
export interface ServiceReference {
  /** Fully qualified: short names are resolved against the namespace of the resource that wrote them. */
  readonly host: string;
  readonly subset?: string;
  readonly port?: number;
}
