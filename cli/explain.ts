import { Command, Option } from "commander";
import type { Snapshot } from "../control-plane/snapshot/snapshot.ts";
import { CliError, wrongUse } from "./cli-error.ts";
import { readCliConfig } from "./config.ts";
import { ControlPlaneClient } from "./control-plane-client.ts";
import { formatExplanation } from "./format-explanation.ts";
import { loadResources } from "./load-resources.ts";
import { labelsFromArgument, requestFromArguments } from "./request-arguments.ts";

interface ExplainOptions {
  readonly header: readonly string[];
  readonly from?: string;
  readonly namespace: string;
  readonly gateway?: string;
  readonly config: readonly string[];
  readonly controlPlane: string;
  readonly output: "text" | "json";
}

/** `weft explain METHOD URL` */
export function explainCommand(): Command {
  return new Command("explain")
    .description("say which rule takes a request, where it goes, and why every other rule does not take it")
    .argument("<method>", "such as GET")
    .argument("<url>", "such as http://review:9080/reviews/1; for a gateway, its own address")
    .option("-H, --header <name: value>", "a header of the request; may be repeated", collect, [])
    .option("--from <k=v,…>", "labels of the calling workload")
    .option("-n, --namespace <namespace>", "namespace of the calling workload, or of the gateway", "default")
    .option(
      "--gateway <k=v,…>",
      "ask as the gateway with these labels, such as istio=ingressgateway, not as a sidecar",
    )
    .option(
      "--config <path>",
      "folder or file of resources, instead of a control plane; may be repeated",
      collect,
      [],
    )
    .option("--control-plane <host:port>", "HTTP API (env WEFT_CONTROL_PLANE)", readCliConfig().controlPlane)
    .addOption(new Option("-o, --output <format>", "how").choices(["text", "json"]).default("text"))
    .action(explain);
}

async function explain(method: string, url: string, options: ExplainOptions): Promise<void> {
  const { request, port: urlPort } = requestFromArguments(method, url, options.header);
  const from = labelsFromArgument("--from", options.from ?? "");
  const gateway =
    options.gateway === undefined ? undefined : labelsFromArgument("--gateway", options.gateway);
  const [snapshot, { explainRequest, gatewayPorts }] = await Promise.all([
    snapshotFor(options),
    import("./explain-request.ts"),
  ]);
  const asker = {
    kind: gateway === undefined ? ("sidecar" as const) : ("gateway" as const),
    namespace: options.namespace,
    labels: gateway ?? from,
  };
  const port = gateway === undefined ? urlPort : serverPort(gatewayPorts(snapshot, gateway), urlPort);
  const explanation = explainRequest(snapshot, asker, request, port);
  if (explanation === undefined)
    throw new CliError(1, `weft explain: no route is bound to port ${port} of that gateway`);
  process.stdout.write(
    options.output === "json"
      ? `${JSON.stringify(explanation, undefined, 2)}\n`
      : formatExplanation(explanation),
  );
}

async function snapshotFor({ config, controlPlane }: ExplainOptions): Promise<Snapshot> {
  if (config.length > 0) {
    const { snapshot, problems } = await loadResources("explain", config, { together: false });
    if (problems.length > 0) throw new CliError(1, problems);
    return snapshot;
  }
  const client = new ControlPlaneClient(controlPlane, "explain");
  const [saved, { restoreResource }, { buildSnapshot }] = await Promise.all([
    client.snapshot(),
    import("../control-plane/snapshot/saved-resource.ts"),
    import("../control-plane/snapshot/build.ts"),
  ]);
  return buildSnapshot(saved.flatMap((one) => restoreResource(one) ?? []));
}

/** In local mode a gateway's server port is not the port in the URL; with one server there is no doubt which is meant. */
function serverPort(ports: readonly number[], asked: number): number {
  if (ports.length === 0) throw new CliError(1, "weft explain: no Gateway resource selects those labels");
  if (ports.includes(asked)) return asked;
  if (ports.length === 1) return ports[0]!;
  throw wrongUse(
    `weft explain: that gateway has servers at ports ${ports.join(", ")}; put one of them into the URL`,
  );
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}
