import { Command, Option } from "commander";
import { formatProblem } from "../common/base/problem.ts";
import type { ProxyView, ResourceView } from "../common/model/mesh-status.ts";
import { CliError } from "./cli-error.ts";
import { ControlPlaneClient } from "./control-plane-client.ts";
import type { ControlPlaneChoice } from "./control-plane-option.ts";
import { controlPlaneOption, tokenFileOption } from "./control-plane-option.ts";
import { resourceFromArgument } from "./resource-argument.ts";
import { formatAge, formatTable } from "./table.ts";

interface StatusOptions extends ControlPlaneChoice {
  readonly output: "table" | "json";
  readonly namespace: string;
}

/** `weft status [KIND/NAME]` */
export function statusCommand(): Command {
  return new Command("status")
    .description("show what every proxy runs, or which proxies run one resource")
    .argument("[kind/name]", "such as VirtualService/product")
    .addOption(new Option("-o, --output <format>", "how").choices(["table", "json"]).default("table"))
    .option("-n, --namespace <namespace>", "of KIND/NAME", "default")
    .addOption(controlPlaneOption())
    .addOption(tokenFileOption())
    .action(status);
}

async function status(text: string | undefined, options: StatusOptions): Promise<void> {
  const client = new ControlPlaneClient(options, "status");
  if (text !== undefined) {
    const wanted = resourceFromArgument("status", text, options.namespace);
    const found = (await client.resources(wanted.kind)).find(
      ({ namespace, name }) => namespace === wanted.namespace && name === wanted.name,
    );
    if (found === undefined) {
      throw new CliError(1, `weft status: there is no ${wanted.kind}/${wanted.namespace}/${wanted.name}`);
    }
    process.stdout.write(options.output === "json" ? json(found) : formatResource(found));
    return;
  }
  const [proxies, resources] = await Promise.all([client.proxies(), client.resources()]);
  process.stdout.write(
    options.output === "json" ? json({ proxies, resources }) : formatMesh(proxies, resources),
  );
}

function formatMesh(proxies: readonly ProxyView[], resources: readonly ResourceView[]): string {
  const now = Date.now();
  const rows = proxies.map(
    ({ kind, name, namespace, connectedAt, version = "", isCurrent, types, principal }) => [
      name,
      kind,
      namespace,
      isCurrent ? "current" : "behind",
      version,
      String(Object.values(types).reduce((sum, { count }) => sum + count, 0)),
      Object.values(types)
        .flatMap(({ refused }) => refused)
        .join(", ") || "-",
      formatAge(now - Date.parse(connectedAt)),
      principal ?? "-",
    ],
  );
  const header = [
    "PROXY",
    "KIND",
    "NAMESPACE",
    "SYNC",
    "VERSION",
    "RESOURCES",
    "REFUSED",
    "CONNECTED",
    "IDENTITY",
  ];
  const odd = resources.filter(({ status }) => status.state !== "live" || status.problems.length > 0);
  return [
    proxies.length === 0 ? "no proxies\n" : formatTable(header, rows),
    `\n${resources.length} resources, ${resources.length - odd.length} of them without a remark\n`,
    ...odd.map(formatResource),
  ].join("");
}

function formatResource({ kind, namespace, name, source, status }: ResourceView): string {
  const { state, programmed, proxies, refusedBy, problems } = status;
  const where = source.file === undefined ? "" : ` (${source.file}:${source.line ?? 1})`;
  return [
    `${kind}/${namespace}/${name}${where}: ${state}, ${programmed} of ${proxies} proxies run it\n`,
    ...refusedBy.map((proxy) => `  refused by ${proxy}\n`),
    ...problems.map((problem) => `  ${problem.severity ?? "error"}: ${formatProblem(problem)}\n`),
  ].join("");
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
