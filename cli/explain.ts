import { Command, Option } from "commander";
import { invalidInput } from "./cli-error.ts";
import { ControlPlaneClient } from "./control-plane-client.ts";
import type { ControlPlaneChoice } from "./control-plane-option.ts";
import { controlPlaneOption, tokenFileOption } from "./control-plane-option.ts";
import type { ExplainAnswer } from "./format-explanation.ts";
import { formatExplanation } from "./format-explanation.ts";
import { loadResources } from "./load-resources.ts";
import { checkedHeaders, labelsFromArgument } from "./request-arguments.ts";

interface ExplainOptions extends ControlPlaneChoice {
  readonly header: readonly string[];
  readonly from?: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly gateway?: string;
  readonly config: readonly string[];
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
    .option("--service-account <name>", "of the calling workload, or of the gateway", "default")
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
    .addOption(controlPlaneOption())
    .addOption(tokenFileOption())
    .addOption(new Option("-o, --output <format>", "how").choices(["text", "json"]).default("text"))
    .action(explain);
}

async function explain(method: string, url: string, options: ExplainOptions): Promise<void> {
  const headers = checkedHeaders(method, url, options.header);
  const isGateway = options.gateway !== undefined;
  const labels = isGateway
    ? labelsFromArgument("--gateway", options.gateway)
    : labelsFromArgument("--from", options.from ?? "");
  const question = {
    method: method.toUpperCase(),
    url,
    headers,
    kind: isGateway ? "gateway" : "sidecar",
    namespace: options.namespace,
    serviceAccount: options.serviceAccount,
    labels,
  };
  const explanation =
    options.config.length > 0
      ? await explainFiles(question, options.config)
      : await new ControlPlaneClient(options, "explain").explain(question);
  process.stdout.write(
    options.output === "json"
      ? `${JSON.stringify(explanation, undefined, 2)}\n`
      : formatExplanation(explanation),
  );
}

/** As the control plane would answer, had it these files and nothing else. */
async function explainFiles(question: object, paths: readonly string[]): Promise<ExplainAnswer> {
  const { snapshot, problems } = await loadResources("explain", paths, { together: false });
  if (problems.length > 0) throw invalidInput(problems);
  const { answerExplainQuestion } = await import("../control-plane/translate/explain-question.ts");
  const answer = answerExplainQuestion(snapshot, question);
  if (!answer.ok) throw invalidInput(answer.problems);
  return answer.value;
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}
