import { Command } from "commander";
import { ControlPlaneClient } from "./control-plane-client.ts";
import type { ControlPlaneChoice } from "./control-plane-option.ts";
import { controlPlaneOption, tokenFileOption } from "./control-plane-option.ts";
import { resourceFromArgument } from "./resource-argument.ts";
import type { WaitOptions } from "./wait-option.ts";
import { addWaitOptions, describeSettled, waitMs } from "./wait-option.ts";

interface DeleteOptions extends WaitOptions, ControlPlaneChoice {
  readonly namespace: string;
}

/** `weft delete KIND/NAME` */
export function deleteCommand(): Command {
  const command = new Command("delete")
    .description("remove a resource that was applied; one of the same name in a config folder shows again")
    .argument("<kind/name>", "such as VirtualService/product, vs/product or vs/default/product")
    .option("-n, --namespace <namespace>", "its namespace", "default")
    .addOption(controlPlaneOption())
    .addOption(tokenFileOption());
  return addWaitOptions(command).action(remove);
}

async function remove(text: string, options: DeleteOptions): Promise<void> {
  const { kind, namespace, name } = resourceFromArgument("delete", text, options.namespace);
  const client = new ControlPlaneClient(options, "delete");
  const { uncovered, settled } = await client.delete(kind, namespace, name, waitMs("delete", options));
  process.stdout.write(`${kind}/${namespace}/${name} deleted\n`);
  if (uncovered !== undefined) {
    process.stdout.write(
      `the one at ${uncovered.file ?? "another source"}:${uncovered.line ?? 1} holds again\n`,
    );
  }
  if (settled !== undefined) process.stdout.write(`${describeSettled(settled)}\n`);
}
