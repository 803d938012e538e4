#!/usr/bin/env node
import { CliError } from "./cli-error.ts";
import { complaintAboutNode } from "./node-version.ts";
import { readProxyArguments } from "./proxy-arguments.ts";

try {
  const complaint = complaintAboutNode(process.versions.node);
  if (complaint !== undefined) throw new CliError(2, complaint);
  const proxy = readProxyArguments(process.argv.slice(2));
  if (proxy !== undefined) await (await import("./run-proxy.ts")).runSidecarOrGateway(proxy);
  else await (await import("./program.ts")).runProgram(process.argv);
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CliError) {
    process.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
  process.stderr.write(`weft: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}
