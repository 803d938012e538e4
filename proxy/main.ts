import { parseArgs } from "node:util";
import { formatProblem } from "../common/base/problem.ts";
import { runProxy } from "./app.ts";
import { readProxySettings } from "./config.ts";

const options = {
  name: { type: "string" },
  namespace: { type: "string" },
  "service-account": { type: "string" },
  labels: { type: "string" },
  "control-plane": { type: "string" },
  outbound: { type: "string" },
  inbound: { type: "string" },
  app: { type: "string" },
  admin: { type: "string" },
  bind: { type: "string", multiple: true },
  state: { type: "string" },
  secrets: { type: "string" },
  "access-log": { type: "string" },
  "log-level": { type: "string" },
  "log-format": { type: "string" },
  "on-demand": { type: "string" },
  drain: { type: "string" },
} as const;

/** The proxy as a process of its own; `weft proxy` and `weft gateway` are the same behind the command's help. */
const { values, positionals } = readArguments();
const settings = readProxySettings({
  ...values,
  kind: positionals[0] === "gateway" ? "gateway" : "sidecar",
  serviceAccount: values["service-account"],
  controlPlane: values["control-plane"],
  accessLog: values["access-log"],
  onDemand: values["on-demand"],
  logLevel: values["log-level"],
  logFormat: values["log-format"],
});
if (!settings.ok) {
  for (const problem of settings.problems) process.stderr.write(`${formatProblem(problem)}\n`);
  process.exit(2);
}
process.exit(await runProxy(settings.value));

function readArguments() {
  try {
    return parseArgs({ allowPositionals: true, options });
  } catch (cause) {
    process.stderr.write(`${(cause as Error).message}\n`);
    process.exit(2);
  }
}
