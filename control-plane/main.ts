import { parseArgs } from "node:util";
import { formatProblem } from "../common/base/problem.ts";
import { runControlPlane } from "./app.ts";
import { readControlPlaneSettings } from "./config.ts";

const options = {
  config: { type: "string", multiple: true },
  xds: { type: "string" },
  http: { type: "string" },
  "http-token-file": { type: "string" },
  state: { type: "string" },
  "log-level": { type: "string" },
  "log-format": { type: "string" },
} as const;

/** The control plane as a process of its own; `weft control-plane` is the same behind the command's help. */
const values = readArguments();
const settings = readControlPlaneSettings({
  ...values,
  httpTokenFile: values["http-token-file"],
  logLevel: values["log-level"],
  logFormat: values["log-format"],
});
if (!settings.ok) {
  for (const problem of settings.problems) process.stderr.write(`${formatProblem(problem)}\n`);
  process.exit(2);
}
process.exit(await runControlPlane(settings.value));

function readArguments() {
  try {
    return parseArgs({ options }).values;
  } catch (cause) {
    process.stderr.write(`${(cause as Error).message}\n`);
    process.exit(2);
  }
}
