import type { ProxyOptions } from "../proxy/config.ts";

/** An option of `weft proxy` or `weft gateway`, as commander writes it. */
export interface ProxyOption {
  readonly flags: `--${string} <${string}>`;
  readonly description: string;
  readonly isRequired?: boolean;
  readonly mayRepeat?: boolean;
}

/** The options that sidecars and gateways share. */
const sharedOptions: readonly ProxyOption[] = [
  { flags: "--name <name>", description: "name of the workload", isRequired: true },
  { flags: "--namespace <namespace>", description: "its namespace (default: default)" },
  { flags: "--service-account <name>", description: "its service account (default: default)" },
  { flags: "--labels <k=v,…>", description: "its labels" },
  { flags: "--locality <region/zone/subzone>", description: "where it runs, for locality load balancing" },
  {
    flags: "--control-plane <host:port>",
    description: "the control plane's xDS port; without it the last good config is used",
  },
  {
    flags: "--token <file>",
    description:
      "proves who this workload is: with it the control plane is spoken to over TLS and gives it an identity",
  },
  {
    flags: "--root-cert <file>",
    description: "PEM of the roots that the control plane's certificate chains to (needs --token)",
  },
  {
    flags: "--admin <host:port>",
    description: "admin interface: /ready /config_dump /clusters /stats/prometheus /logging /drain",
  },
  { flags: "--state <dir>", description: "where the last good config is kept" },
  {
    flags: "--access-log <off|short|text|json>",
    description: "write a line per request (env WEFT_ACCESS_LOG)",
  },
  { flags: "--log-level <level>", description: "what to log (env WEFT_LOG_LEVEL)" },
  { flags: "--log-format <text|json>", description: "how to log (env WEFT_LOG_FORMAT, default: json)" },
  {
    flags: "--drain <duration>",
    description: "how long requests get to finish on SIGTERM (env WEFT_DRAIN, default: 5s)",
  },
];

/** Every option, per verb. */
export const proxyOptions: Readonly<Record<"proxy" | "gateway", readonly ProxyOption[]>> = {
  proxy: [
    ...sharedOptions,
    { flags: "--outbound <host:port>", description: "where the app sends what is for the mesh" },
    {
      flags: "--inbound <host:port>",
      description: "where the mesh sends what is for the app (needs --app)",
    },
    { flags: "--app <host:port>", description: "where the app listens" },
    {
      flags: "--capture <on|off>",
      description:
        "on: `weft capture` redirects this pod's connections here; --outbound and --inbound are then ports 15001 and 15006 on every address",
    },
    {
      flags: "--dns <port|off>",
      description: "with --capture: where the app's DNS questions are answered (default: 15053)",
    },
    {
      flags: "--on-demand <duration|off>",
      description:
        "ask for a service at its first use and give it up when unused so long; off: hold all services (env WEFT_ON_DEMAND, default: 1h)",
    },
  ],
  gateway: [
    ...sharedOptions,
    {
      flags: "--secrets <dir>",
      description: "credentials that Gateways name: a folder each, with tls.crt, tls.key and ca.crt",
    },
    {
      flags: "--bind <serverport=host:port>",
      description: "open the server port of a Gateway resource here; may be repeated",
      mayRepeat: true,
    },
  ],
};

/**
 * Reads a command line that starts a proxy, without commander, which a process that runs for weeks would keep in memory. Undefined for
 * every other line: another verb, a question for help, or a mistake, about which commander knows what to say.
 */
export function readProxyArguments(args: readonly string[]): ProxyOptions | undefined {
  const [verb, ...rest] = args;
  if (verb !== "proxy" && verb !== "gateway") return undefined;
  const values = parse(rest, proxyOptions[verb]);
  if (values === undefined || proxyOptions[verb].some((o) => o.isRequired && !(propertyOf(o) in values)))
    return undefined;
  return { ...(values as unknown as ProxyOptions), kind: verb === "gateway" ? "gateway" : "sidecar" };
}

function parse(
  args: readonly string[],
  known: readonly ProxyOption[],
): Readonly<Record<string, unknown>> | undefined {
  const options = Object.fromEntries(
    known.map((option) => [nameOf(option), { type: "string", multiple: option.mayRepeat ?? false } as const]),
  );
  // Not imported: as an ES module, node:util loads the inspector and more that nobody asked for.
  const { parseArgs } = process.getBuiltinModule("node:util");
  try {
    const { values } = parseArgs({ args: [...args], options });
    return Object.fromEntries(
      known.flatMap((option) => {
        const value = values[nameOf(option)];
        return value === undefined ? [] : [[propertyOf(option), value]];
      }),
    );
  } catch {
    return undefined;
  }
}

function nameOf({ flags }: ProxyOption): string {
  return flags.slice(2, flags.indexOf(" "));
}

/** `service-account` is `serviceAccount` to code, as commander has it. */
function propertyOf(option: ProxyOption): string {
  return nameOf(option).replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
