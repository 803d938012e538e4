import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { parseDuration } from "../common/base/duration.ts";
import type { Problem } from "../common/base/problem.ts";
import type { Result } from "../common/base/result.ts";
import { failed, ok } from "../common/base/result.ts";
import type { Locality } from "../common/model/endpoint.ts";
import type { ProxyNode, SocketAddress } from "../common/model/node.ts";
import { proxyNodeId } from "../common/model/node.ts";
import type { PoolSettings } from "./cluster/pool.ts";
import { defaultPoolSettings } from "./cluster/pool.ts";
import type { HttpServerSettings } from "./http/http-server.ts";
import { defaultHttpServerSettings } from "./http/http-server.ts";
import type { ControlPlaneTrust } from "./identity/control-plane-channel.ts";
import { defaultOnDemand } from "./outbound/on-demand.ts";
import type { OnDemandSettings } from "./outbound/on-demand-hosts.ts";
import type { AccessLogSettings } from "./telemetry/access-log.ts";
import { accessLogEncodings } from "./telemetry/access-log.ts";
import type { LogFormat, LogLevel } from "./telemetry/log.ts";
import { isLogLevel, logFormats, logLevels } from "./telemetry/log.ts";

/** Everything a proxy is told from outside. Frozen; read once. */
export interface ProxySettings {
  /** The package's version, which the control plane shows. */
  readonly version: string;
  readonly node: ProxyNode;
  /** Absent: no control plane is asked; the last good copy, or what a test hands in, is all there is. */
  readonly controlPlane?: SocketAddress;
  /** Present: the control plane is spoken to over TLS, and gives this workload its identity for mutual TLS. */
  readonly trust?: ControlPlaneTrust;
  /** Absent: no admin interface. */
  readonly admin?: SocketAddress;
  /** Absent: virtual hosts, clusters and endpoints come unasked, all that the proxy may see. */
  readonly onDemand?: OnDemandSettings;
  /** Where the last good config is kept; absent: nowhere. */
  readonly stateDirectory?: string;
  /** A folder per credential that Gateways name (tls.crt, tls.key, ca.crt); absent: there are none. */
  readonly secretsDirectory?: string;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly accessLog: "off" | AccessLogSettings["encoding"];
  /** Requests under way at once, all listeners together; what is more is refused with 503. */
  readonly maxActiveRequests: number;
  /** ms that requests under way get to finish on SIGTERM (Istio's terminationDrainDuration: 5 s). */
  readonly terminationDrainMs: number;
  /** ms that a listener that was taken away or moved lets its requests finish (Envoy's drain time is 10 min). */
  readonly listenerDrainMs: number;
  /** ms after which certificate files are looked at again. */
  readonly certificateRefreshMs: number;
  /** What the access log's %ENVIRONMENT(X)% may print. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly http: HttpServerSettings;
  readonly pool: PoolSettings;
}

/** The flags of `weft proxy` and `weft gateway` as strings, under their names in camel case. */
export interface ProxyOptions {
  readonly kind: "sidecar" | "gateway";
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
  readonly serviceAccount?: string | undefined;
  /** `k=v,k2=v2` */
  readonly labels?: string | undefined;
  /** `region/zone/subzone`; later parts may be left out. */
  readonly locality?: string | undefined;
  /** The addresses are `HOST:PORT`; an IPv6 host stands in brackets. */
  readonly controlPlane?: string | undefined;
  /** Files; the two go together. */
  readonly token?: string | undefined;
  readonly rootCert?: string | undefined;
  readonly outbound?: string | undefined;
  readonly inbound?: string | undefined;
  readonly app?: string | undefined;
  /** `on`: connections are redirected here by the packet filter; `off`. */
  readonly capture?: string | undefined;
  /** With `capture`: a port, or `off`. */
  readonly dns?: string | undefined;
  readonly admin?: string | undefined;
  /** Gateways: `SERVERPORT=HOST:PORT`, each once. */
  readonly bind?: readonly string[] | undefined;
  readonly state?: string | undefined;
  readonly secrets?: string | undefined;
  readonly accessLog?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly logFormat?: string | undefined;
  /** After how long without requests a service is given up, such as `1h`; `off`. */
  readonly onDemand?: string | undefined;
  /** Such as `5s`. */
  readonly drain?: string | undefined;
}

/** Reads the settings, or says everything that is wrong with them. The paths of the problems are the flags' names. */
export function readProxySettings(
  options: ProxyOptions,
  environment: Readonly<Record<string, string | undefined>> = process.env,
  interfaces: () => NetworkInterfaces = networkInterfaces,
): Result<ProxySettings> {
  const reader = new Reader();
  const captured = readCapture(options, reader, interfaces);
  const kind = options.kind;
  const name = reader.required("--name", options.name);
  const namespace = options.namespace ?? "default";
  const bindings = {
    ...present("outbound", reader.address("--outbound", options.outbound) ?? captured?.outbound),
    ...present("inbound", reader.address("--inbound", options.inbound) ?? captured?.inbound),
    ...present("app", reader.address("--app", options.app)),
    servers: reader.bindings("--bind", options.bind ?? []),
    ...(captured && { captures: true as const }),
    ...present("dns", captured?.dns),
  };
  if (options.inbound !== undefined && options.app === undefined && captured === undefined) {
    reader.problem(
      "--app",
      "is missing: --inbound needs to know where the app listens",
      "give --app HOST:PORT",
    );
  }
  const onDemand = reader.onDemand("--on-demand", options.onDemand ?? environment["WEFT_ON_DEMAND"] ?? "1h");
  // A gateway serves all hosts of its Gateways, so there is nothing that it could leave out.
  const canAsk = kind === "sidecar" && options.controlPlane !== undefined && bindings.outbound !== undefined;
  const asksOnDemand = onDemand !== undefined && canAsk;
  const identity = { kind, name, namespace };
  const node: ProxyNode = {
    ...identity,
    id: proxyNodeId(identity, captured?.addresses[0] ?? bindings.inbound?.host ?? "127.0.0.1"),
    serviceAccount: options.serviceAccount ?? "default",
    labels: reader.labels("--labels", options.labels ?? ""),
    ...present("locality", reader.locality("--locality", options.locality)),
    ...(captured && { addresses: captured.addresses }),
    ...(options.token === undefined ? {} : { hasIdentity: true }),
    ...(asksOnDemand && { onDemand: true }),
    bindings,
  };
  const controlPlane = reader.address("--control-plane", options.controlPlane);
  const trust = reader.trust(options);
  const admin = reader.address("--admin", options.admin);
  const accessLog = options.accessLog ?? environment["WEFT_ACCESS_LOG"] ?? "off";
  const logLevel = options.logLevel ?? environment["WEFT_LOG_LEVEL"] ?? "info";
  const logFormat = options.logFormat ?? environment["WEFT_LOG_FORMAT"] ?? "json";
  const settings: ProxySettings = {
    version: packageVersion(),
    node,
    ...present("controlPlane", controlPlane),
    ...present("trust", trust),
    ...present("admin", admin),
    ...present("stateDirectory", options.state),
    ...present("secretsDirectory", options.secrets),
    ...present("onDemand", asksOnDemand ? onDemand : undefined),
    logLevel: reader.oneOf("--log-level", logLevel, logLevels.filter(isLogLevel)),
    logFormat: reader.oneOf("--log-format", logFormat, logFormats),
    accessLog: reader.oneOf("--access-log", accessLog, ["off", ...accessLogEncodings] as const),
    maxActiveRequests: reader.count(
      "WEFT_MAX_ACTIVE_REQUESTS",
      environment["WEFT_MAX_ACTIVE_REQUESTS"] ?? "10000",
    ),
    terminationDrainMs: reader.duration("--drain", options.drain ?? environment["WEFT_DRAIN"] ?? "5s"),
    listenerDrainMs: 60_000,
    certificateRefreshMs: 5_000,
    environment,
    http: defaultHttpServerSettings,
    pool: defaultPoolSettings,
  };
  return reader.problems.length > 0 ? failed(reader.problems) : ok(Object.freeze(settings));
}

/** package.json lies one folder up from the sources, two from dist. */
function packageVersion(): string {
  for (const path of ["../package.json", "../../package.json"]) {
    try {
      const manifest = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as {
        version?: string;
      };
      return manifest.version ?? "unknown";
    } catch {}
  }
  return "unknown";
}

type NetworkInterfaces = ReturnType<typeof networkInterfaces>;

/** Istio's ports. */
const capturePorts = { outbound: 15_001, inbound: 15_006, dns: 15_053 };

interface CaptureBindings {
  readonly outbound: SocketAddress;
  readonly inbound: SocketAddress;
  readonly dns: readonly SocketAddress[] | undefined;
  /** Of this pod or machine, those of the loopback interface left out. */
  readonly addresses: readonly string[];
}

function readCapture(
  { kind, capture = "off", dns }: ProxyOptions,
  reader: Reader,
  interfaces: () => NetworkInterfaces,
): CaptureBindings | undefined {
  const isOn = reader.oneOf("--capture", capture, ["off", "on"] as const) === "on";
  if (!isOn || kind === "gateway") {
    if (dns !== undefined) reader.problem("--dns", "is for --capture on", "give both or none");
    return undefined;
  }
  const all = Object.values(interfaces()).flatMap((list) => list ?? []);
  // Where there is IPv6, a socket for every address takes IPv4 too.
  const hasIpv6 = all.some(({ family }) => family === "IPv6");
  const every = hasIpv6 ? "::" : "0.0.0.0";
  const port = dns === "off" ? undefined : reader.port("--dns", dns ?? String(capturePorts.dns));
  return {
    outbound: { host: every, port: capturePorts.outbound },
    inbound: { host: every, port: capturePorts.inbound },
    dns:
      port === undefined
        ? undefined
        : ["127.0.0.1", ...(hasIpv6 ? ["::1"] : [])].map((host) => ({ host, port })),
    addresses: all.filter(({ internal, scopeid }) => !internal && !scopeid).map(({ address }) => address),
  };
}

/** Reads one text after the other and remembers all that was wrong. What it returns for a bad text is not used. */
class Reader {
  readonly problems: Problem[] = [];

  locality(path: string, text: string | undefined): Locality | undefined {
    if (text === undefined || text === "") return undefined;
    const [region = "", zone = "", subzone = "", ...more] = text.split("/");
    if (region === "" || more.length > 0)
      this.problem(path, `${JSON.stringify(text)} is not a locality`, "write region/zone/subzone");
    return { region, zone, subzone };
  }

  onDemand(path: string, text: string): OnDemandSettings | undefined {
    return text === "off" ? undefined : { ...defaultOnDemand, idleMs: this.duration(path, text) };
  }

  trust({ controlPlane, token, rootCert }: ProxyOptions): ControlPlaneTrust | undefined {
    if (token === undefined && rootCert === undefined) return undefined;
    for (const [flag, value, why] of [
      ["--control-plane", controlPlane, "is missing: --token is for a control plane"],
      ["--token", token, "is missing: --root-cert goes with it"],
      ["--root-cert", rootCert, "is missing: a token is sent only to whom that file knows"],
    ] as const)
      if (value === undefined) this.problem(flag, why);
    return { tokenFile: token ?? "", rootsFile: rootCert ?? "" };
  }

  problem(path: string, why: string, hint?: string): void {
    this.problems.push({ path, why, ...present("hint", hint) });
  }

  required(path: string, text: string | undefined): string {
    if (text === undefined || text === "") this.problem(path, "is missing");
    return text ?? "";
  }

  address(path: string, text: string | undefined): SocketAddress | undefined {
    if (text === undefined) return undefined;
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]]+)):(\d{1,5})$/.exec(text);
    const host = match?.[1] ?? match?.[2];
    const port = Number(match?.[3]);
    if (host !== undefined && port <= 65_535) return { host, port };
    this.problem(path, `${JSON.stringify(text)} is not HOST:PORT`, "write it like 127.0.0.1:15001");
    return undefined;
  }

  bindings(path: string, texts: readonly string[]): ReadonlyMap<number, SocketAddress> {
    const bindings = new Map<number, SocketAddress>();
    for (const text of texts) {
      const at = text.indexOf("=");
      const port = Number(text.slice(0, at));
      if (at < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) {
        const why = `${JSON.stringify(text)} is not SERVERPORT=HOST:PORT`;
        this.problem(path, why, "write it like 80=127.0.0.1:8080");
        continue;
      }
      if (bindings.has(port)) this.problem(path, `server port ${port} is bound twice`);
      const address = this.address(path, text.slice(at + 1));
      if (address !== undefined) bindings.set(port, address);
    }
    return bindings;
  }

  labels(path: string, text: string): Readonly<Record<string, string>> {
    const pairs: [string, string][] = [];
    for (const pair of text.split(",")) {
      if (pair.trim() === "") continue;
      const at = pair.indexOf("=");
      if (at < 1)
        this.problem(
          path,
          `${JSON.stringify(pair)} is not KEY=VALUE`,
          "write them like app=review,version=v1",
        );
      else pairs.push([pair.slice(0, at).trim(), pair.slice(at + 1).trim()]);
    }
    return Object.fromEntries(pairs);
  }

  oneOf<T extends string>(path: string, text: string, allowed: readonly T[]): T {
    const found = allowed.find((word) => word === text);
    if (found === undefined) this.problem(path, `${JSON.stringify(text)} is none of ${allowed.join(", ")}`);
    return found ?? allowed[0]!;
  }

  count(path: string, text: string): number {
    if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
    this.problem(path, `${JSON.stringify(text)} is not a count`, "write a number from 1 on");
    return 1;
  }

  port(path: string, text: string): number {
    const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
    if (port < 1 || port > 65_535) this.problem(path, `${JSON.stringify(text)} is not a port`);
    return port;
  }

  duration(path: string, text: string): number {
    const parsed = parseDuration(text);
    if (parsed.ok) return parsed.ms;
    this.problem(path, parsed.why, parsed.hint);
    return 0;
  }
}

/** `{ key: value }`, or nothing when the value is undefined, as exactOptionalPropertyTypes wants it. */
function present<K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: T });
}
