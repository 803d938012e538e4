import { Command } from "commander";
import { formatProblem } from "../common/base/problem.ts";
import type { ControlPlaneOptions } from "../control-plane/config.ts";
import { wrongUse } from "./cli-error.ts";
import { writeCompileCacheSoon } from "./compile-cache.ts";

/** `weft control-plane` */
export function controlPlaneCommand(): Command {
  return new Command("control-plane")
    .description(
      "run a control plane: reads resources, pushes them to the proxies over xDS, answers the HTTP API",
    )
    .option(
      "--config <dir>",
      "folder or file of resources, watched; may be repeated, the earlier wins",
      collect,
      [],
    )
    .option("--xds <host:port>", "xDS (default: 127.0.0.1:15010)")
    .option(
      "--secure-xds <host:port>",
      "xDS and certificates over TLS for callers who prove who they are, such as 0.0.0.0:15012 (default: none)",
    )
    .option("--trust-domain <name>", "of the identities that are given out (default: cluster.local)")
    .option("--trust-domain-alias <name>", "trust domain that counts as ours; may be repeated", collect, [])
    .option("--server-name <name>", "by which the secure port is reached; may be repeated", collect, [])
    .option(
      "--ca <dir|file>",
      "certificate authority to sign with: ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem, or a PKCS#12 file (default: one is made)",
    )
    .option("--ca-password-file <file>", "of the PKCS#12 file")
    .option("--join-tokens <file>", "whose tokens are whose, as weft up writes it")
    .option(
      "--http <host:port>",
      "HTTP API; beyond loopback only with --http-token-file (default: 127.0.0.1:15014)",
    )
    .option(
      "--http-token-file <file>",
      "holds the token that requests to the HTTP API must show (env WEFT_HTTP_TOKEN_FILE)",
    )
    .option("--state <dir>", "where applied resources are kept (default: .weft/control-plane)")
    .option(
      "--mesh-config <file>",
      "what holds for the whole mesh, in the form of Istio's MeshConfig (pathNormalization, extensionProviders, …)",
    )
    .option(
      "--root-namespace <name>",
      "whose Sidecar and DestinationRules hold for all (default: istio-system)",
    )
    .option(
      "--outbound-traffic-policy <allow-any|registry-only>",
      "what sidecars do with hosts that no service has, unless a Sidecar says it (default: allow-any)",
    )
    .option("--log-level <level>", "what to log (env WEFT_LOG_LEVEL, default: info)")
    .option("--log-format <text|json>", "how to log (env WEFT_LOG_FORMAT, default: text)")
    .action(run);
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

async function run(options: ControlPlaneOptions): Promise<void> {
  // Loaded here, so that other verbs start without it.
  const [{ runControlPlane }, { readControlPlaneSettings }] = await Promise.all([
    import("../control-plane/app.ts"),
    import("../control-plane/config.ts"),
  ]);
  const settings = readControlPlaneSettings(options);
  if (!settings.ok) {
    throw wrongUse(
      settings.problems.map((problem) => `weft control-plane: ${formatProblem(problem)}`).join("\n"),
    );
  }
  writeCompileCacheSoon();
  process.exit(await runControlPlane(settings.value));
}
