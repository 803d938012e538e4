import { Command, Option } from "commander";
import type { ResourceView } from "../common/model/mesh-status.ts";
import { CliError } from "./cli-error.ts";
import { ControlPlaneClient } from "./control-plane-client.ts";
import type { ControlPlaneChoice } from "./control-plane-option.ts";
import { controlPlaneOption, tokenFileOption } from "./control-plane-option.ts";
import { kindFromArgument, resourceFromArgument } from "./resource-argument.ts";
import { formatAge, formatTable } from "./table.ts";

interface GetOptions extends ControlPlaneChoice {
  readonly output: "table" | "yaml" | "json";
  readonly namespace: string;
}

/** `weft get [KIND]` */
export function getCommand(): Command {
  return new Command("get")
    .description("list resources: their place, age, and how many proxies run them")
    .argument("[kind]", "such as VirtualService, vs, or vs/product for a single one")
    .addOption(new Option("-o, --output <format>", "how").choices(["table", "yaml", "json"]).default("table"))
    .option("-n, --namespace <namespace>", "of KIND/NAME", "default")
    .addOption(controlPlaneOption())
    .addOption(tokenFileOption())
    .action(get);
}

async function get(text: string | undefined, options: GetOptions): Promise<void> {
  const one = text?.includes("/") ? resourceFromArgument("get", text, options.namespace) : undefined;
  const kind = one?.kind ?? (text === undefined ? undefined : kindFromArgument("get", text));
  const all = await new ControlPlaneClient(options, "get").resources(kind);
  const found =
    one === undefined
      ? all
      : all.filter(({ namespace, name }) => namespace === one.namespace && name === one.name);
  if (one !== undefined && found.length === 0) {
    throw new CliError(1, `weft get: there is no ${one.kind}/${one.namespace}/${one.name}`);
  }
  process.stdout.write(await format(found, options.output));
}

async function format(resources: readonly ResourceView[], output: GetOptions["output"]): Promise<string> {
  if (output === "json") return `${JSON.stringify(resources, undefined, 2)}\n`;
  if (output === "yaml") {
    const { formatYaml } = await import("../control-plane/resources/yaml.ts");
    return resources.map(({ object }) => formatYaml(object)).join("---\n");
  }
  if (resources.length === 0) return "no resources\n";
  const now = Date.now();
  const rows = resources.map(({ kind, namespace, name, createdAt, source, status }) => [
    `${kind}/${namespace}/${name}`,
    status.state,
    `${status.programmed}/${status.proxies}`,
    formatAge(now - Date.parse(createdAt)),
    source.file === undefined ? "" : `${source.file}:${source.line ?? 1}`,
  ]);
  return formatTable(["RESOURCE", "STATE", "PROGRAMMED", "AGE", "WHERE"], rows);
}
