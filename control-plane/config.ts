import { readFileSync } from "node:fs";
import type { Problem } from "../common/base/problem.ts";
import type { Result } from "../common/base/result.ts";
import { failed, ok } from "../common/base/result.ts";
import { defaultTrustDomain, isTrustDomain } from "../common/identity/spiffe.ts";
import type { SocketAddress } from "../common/model/node.ts";
import type { IdentitySettings } from "./ca/mesh-identity.ts";
import type { LogFormat, LogLevel } from "./log.ts";
import { logFormats, logLevels } from "./log.ts";
import { readMeshConfig } from "./resources/mesh-config/read.ts";
import type { MeshConfigInput } from "./resources/mesh-config/schema.ts";
import { compileMeshConfig } from "./snapshot/mesh-settings.ts";
import type { MeshSettings } from "./snapshot/snapshot.ts";
import { defaultMeshSettings } from "./snapshot/snapshot.ts";

/** Everything the control plane is told from outside. Frozen; read once. */
export interface ControlPlaneSettings {
  /** Folders (or files) of resources; of two that define one resource the earlier wins. May be empty: then all is applied over HTTP. */
  readonly config: readonly string[];
  readonly xds: SocketAddress;
  /** The same with TLS and the certificate service, for callers who prove who they are. Absent: the mesh has no identities. */
  readonly secureXds?: SocketAddress;
  /** Counts with `secureXds`. */
  readonly identity?: IdentitySettings;
  /** Whoever reaches it may change the mesh, so beyond loopback only with `httpTokenFile`. */
  readonly http: SocketAddress;
  /** Holds the token that every request to the HTTP API must show. */
  readonly httpTokenFile?: string;
  /** What was applied over HTTP and the last good picture live here. */
  readonly state: string;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Absent: Istio's defaults. */
  readonly mesh?: MeshSettings;
  /** ms without another change until a change goes out. */
  readonly quietMs: number;
  /** ms after which a change goes out although others keep coming. */
  readonly maxDelayMs: number;
}

/** The flags of `weft control-plane` as strings, under their names in camel case. */
export interface ControlPlaneOptions {
  readonly config?: readonly string[] | undefined;
  /** `HOST:PORT`; an IPv6 host stands in brackets. Default 127.0.0.1:15010. */
  readonly xds?: string | undefined;
  /** Istio's is 15012; default: none. */
  readonly secureXds?: string | undefined;
  /** Default cluster.local. */
  readonly trustDomain?: string | undefined;
  readonly trustDomainAlias?: readonly string[] | undefined;
  /** DNS names and addresses for the secure port's certificate. */
  readonly serverName?: readonly string[] | undefined;
  /** A folder as Istio's `cacerts`, or a PKCS#12 file. */
  readonly ca?: string | undefined;
  readonly caPasswordFile?: string | undefined;
  readonly joinTokens?: string | undefined;
  /** Default 127.0.0.1:15014. */
  readonly http?: string | undefined;
  /** Or WEFT_HTTP_TOKEN_FILE. */
  readonly httpTokenFile?: string | undefined;
  /** Default `.weft/control-plane`. */
  readonly state?: string | undefined;
  /** A file in the form of Istio's MeshConfig; flags have their way over it. */
  readonly meshConfig?: string | undefined;
  /** The namespace whose default Sidecar and exported DestinationRules hold for all. Default istio-system. */
  readonly rootNamespace?: string | undefined;
  /** `allow-any` (default) or `registry-only`. */
  readonly outboundTrafficPolicy?: string | undefined;
  /** Or WEFT_LOG_LEVEL; default info. */
  readonly logLevel?: string | undefined;
  /** `text` or `json`; or WEFT_LOG_FORMAT; default text. */
  readonly logFormat?: string | undefined;
}

/** Reads the settings, or says everything that is wrong with them. The paths of the problems are the flags' names. */
export function readControlPlaneSettings(
  options: ControlPlaneOptions,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Result<ControlPlaneSettings> {
  const problems: Problem[] = [];
  const http = readAddress("--http", options.http ?? "127.0.0.1:15014", problems);
  const httpTokenFile = options.httpTokenFile ?? (environment["WEFT_HTTP_TOKEN_FILE"] || undefined);
  if (http && httpTokenFile === undefined && !isLoopback(http.host)) {
    const why = `${JSON.stringify(http.host)} is not a loopback address: whoever reaches this port may change the mesh`;
    const hint = "use 127.0.0.1, or say with --http-token-file which token requests must show";
    problems.push({ path: "--http", why, hint });
  }
  const config = options.meshConfig === undefined ? {} : readMeshFile(options.meshConfig, problems);
  const secureXds =
    options.secureXds === undefined ? undefined : readAddress("--secure-xds", options.secureXds, problems);
  const settings = {
    config: options.config ?? [],
    xds: readAddress("--xds", options.xds ?? "127.0.0.1:15010", problems),
    ...(secureXds && {
      secureXds,
      identity: readIdentity(withTrustDomain(options, config), secureXds, problems),
    }),
    http,
    ...(httpTokenFile !== undefined && { httpTokenFile }),
    state: options.state ?? ".weft/control-plane",
    logLevel: oneOf(
      "--log-level",
      options.logLevel ?? environment["WEFT_LOG_LEVEL"] ?? "info",
      logLevels,
      problems,
    ),
    logFormat: oneOf(
      "--log-format",
      options.logFormat ?? environment["WEFT_LOG_FORMAT"] ?? "text",
      logFormats,
      problems,
    ),
    mesh: meshSettings(options, config, problems),
    quietMs: 10,
    maxDelayMs: 100,
  };
  if (problems.length > 0 || !settings.xds || !http) return failed(problems);
  return ok(Object.freeze({ ...settings, xds: settings.xds, http }));
}

/** The mesh config, over which flags that are given have their way. */
function meshSettings(
  options: ControlPlaneOptions,
  config: MeshConfigInput,
  problems: Problem[],
): MeshSettings {
  const { rootNamespace, outboundTrafficPolicy } = options;
  const { trustDomain, trustDomainAlias: trustDomainAliases } = withTrustDomain(options, config);
  const compiled = compileMeshConfig({
    ...config,
    ...(rootNamespace === undefined ? {} : { rootNamespace }),
    ...(trustDomain === undefined ? {} : { trustDomain }),
    ...(trustDomainAliases === undefined ? {} : { trustDomainAliases: [...trustDomainAliases] }),
  });
  if (outboundTrafficPolicy === undefined) return compiled;
  const policies = ["allow-any", "registry-only"] as const;
  const outboundPolicy = oneOf(
    "--outbound-traffic-policy",
    readPolicy(outboundTrafficPolicy),
    policies,
    problems,
  );
  return { ...compiled, outboundPolicy };
}

function withTrustDomain(options: ControlPlaneOptions, config: MeshConfigInput): ControlPlaneOptions {
  const aliases = options.trustDomainAlias ?? [];
  return {
    ...options,
    trustDomain: options.trustDomain ?? config.trustDomain,
    trustDomainAlias: aliases.length > 0 ? aliases : config.trustDomainAliases,
  };
}

function readMeshFile(path: string, problems: Problem[]): MeshConfigInput {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    problems.push({ path: "--mesh-config", why: `cannot be read: ${(cause as Error).message}` });
    return {};
  }
  const read = readMeshConfig(text, path);
  if (read.ok) return read.value;
  problems.push(...read.problems);
  return {};
}

function readIdentity(
  options: ControlPlaneOptions,
  { host }: SocketAddress,
  problems: Problem[],
): IdentitySettings {
  const { trustDomain = defaultTrustDomain, trustDomainAlias: aliases = [] } = options;
  const { ca, caPasswordFile: passwordFile, joinTokens } = options;
  for (const [path, domains] of [
    ["--trust-domain", [trustDomain]],
    ["--trust-domain-alias", aliases],
  ] as const)
    for (const domain of domains.filter((text) => !isTrustDomain(text)))
      problems.push({
        path,
        why: `${JSON.stringify(domain)} is no trust domain`,
        hint: "write it like cluster.local: lower case letters, digits, dots, dashes and underscores",
      });
  return {
    trustDomain,
    trustDomainAliases: aliases,
    serverNames: [...(options.serverName ?? []), ...(/^(?:0\.0\.0\.0|::)$/.test(host) ? [] : [host])],
    ...(ca !== undefined && { authority: { path: ca, ...(passwordFile !== undefined && { passwordFile }) } }),
    ...(joinTokens !== undefined && { joinTokens }),
  };
}

/** True for names and addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** Istio's words, ALLOW_ANY and REGISTRY_ONLY, are understood too. */
function readPolicy(text: string | undefined): string {
  return text?.toLowerCase().replaceAll("_", "-") ?? defaultMeshSettings.outboundPolicy;
}

function readAddress(path: string, text: string, problems: Problem[]): SocketAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host !== undefined && port <= 65_535) return { host, port };
  problems.push({
    path,
    why: `${JSON.stringify(text)} is not HOST:PORT`,
    hint: "write it like 127.0.0.1:15010",
  });
  return undefined;
}

function oneOf<T extends string>(path: string, text: string, allowed: readonly T[], problems: Problem[]): T {
  const found = allowed.find((word) => word === text);
  if (found === undefined)
    problems.push({ path, why: `${JSON.stringify(text)} is none of ${allowed.join(", ")}` });
  return found ?? allowed[0]!;
}
