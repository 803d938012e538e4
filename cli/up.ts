import { readFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { Command } from "commander";
import { systemClock } from "../common/base/clock.ts";
import type { Result } from "../common/base/result.ts";
import { CliError, invalidInput, wrongUse } from "./cli-error.ts";
import { readCliConfig } from "./config.ts";
import { generateResources } from "./local-mesh/generate-resources.ts";
import { makeJoinTokens } from "./local-mesh/join-tokens.ts";
import { Launcher } from "./local-mesh/launcher.ts";
import { parseMeshFile } from "./local-mesh/mesh-file.ts";
import { MeshFolder } from "./local-mesh/mesh-folder.ts";
import { fillNotes } from "./local-mesh/notes.ts";
import { takenPorts } from "./local-mesh/port-owner.ts";
import { plannedPorts, planPorts } from "./local-mesh/port-plan.ts";

interface UpOptions {
  readonly portBase?: string;
  readonly state: string;
  readonly fresh: boolean;
}

const unreadable: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder; name the mesh file in it",
};

/** `weft up FILE` */
export function upCommand(): Command {
  return new Command("up")
    .description(
      "run a whole mesh on this machine: control plane, gateways, sidecars and the workloads' own commands",
    )
    .argument("<file>", "mesh file (kind: LocalMesh)")
    .option(
      "--port-base <port>",
      "move every port: the control plane to PORT+10 and PORT+14, the rest above (default: 15000)",
    )
    .option("--state <dir>", "where state is kept (env WEFT_STATE)", readCliConfig().state)
    .option("--fresh", "forget what earlier runs applied and remembered", false)
    .action(up);
}

async function up(file: string, options: UpOptions): Promise<void> {
  const { environment } = readCliConfig();
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw wrongUse(`weft up: cannot read ${file}: ${unreadable[error.code ?? ""] ?? error.message}`);
  });
  const mesh = valueOrProblems(parseMeshFile(text, file));
  const plan = valueOrProblems(planPorts(mesh, portBase(options.portBase)));
  const folder = new MeshFolder(resolve(options.state), mesh, plan);
  const taken = await takenPorts(plannedPorts(plan));
  if (taken.length > 0) {
    const lines = taken
      .slice(0, 5)
      .map(
        ({ port, owner, holder }) =>
          `port ${port} (${owner}) is taken${holder === undefined ? "" : ` by ${holder}`}`,
      );
    const running = folder.runningPid();
    if (running !== undefined) lines.unshift(`mesh ${mesh.name} runs already: weft up has pid ${running}`);
    if (taken.length > 5) lines.push(`… and ${taken.length - 5} more`);
    lines.push(`stop what has them, or move the whole mesh, such as with --port-base ${plan.base + 2000}`);
    throw new CliError(1, lines.join("\n"));
  }

  const here = dirname(resolve(file));
  folder.prepare(generateResources(mesh, plan), options.fresh, mesh.meshConfig);
  folder.writeTokens(makeJoinTokens(plan));
  const launcher = new Launcher({
    mesh,
    plan,
    folder,
    here,
    env: environment,
    clock: systemClock,
    isColored: process.stdout.isTTY && !environment.NO_COLOR,
    out: (line) => process.stdout.write(line),
  });
  const stopped = stopOnSignal(launcher);
  if (await launcher.start()) {
    const context = { plan, command: ownCommand(), folder: relative("", here) || "." };
    const notes = mesh.notes === undefined ? [] : [fillNotes(mesh.notes, context).trimEnd()];
    const parts = [...notes, ...(await earlierChanges(plan.http)), "Ctrl-C stops the mesh."];
    process.stdout.write(`\n${parts.join("\n\n")}\n`);
  }
  await stopped;
}

/** A rule that was applied days ago and still holds would surprise whoever reads only the files. */
async function earlierChanges(port: number): Promise<readonly string[]> {
  const { ControlPlaneClient } = await import("./control-plane-client.ts");
  const { httpTokenFile: tokenFile } = readCliConfig();
  const choice = { controlPlane: `127.0.0.1:${port}`, ...(tokenFile !== undefined && { tokenFile }) };
  const resources = await new ControlPlaneClient(choice, "up").resources().catch(() => []);
  const applied = resources.filter(({ origin }) => origin === "state");
  if (applied.length === 0) return [];
  const names = applied.map(({ kind, namespace, name }) => `${kind}/${namespace}/${name}`).join(", ");
  return [
    `Applied in an earlier run and still in force: ${names}. --fresh forgets it, weft delete takes one back.`,
  ];
}

/** Resolves when a signal came and everything has stopped. A second signal does not wait any longer. */
function stopOnSignal(launcher: Launcher): Promise<void> {
  return new Promise((done) => {
    let isStopping = false;
    const stop = (): void => {
      if (isStopping) return;
      isStopping = true;
      void launcher.stop().then(done);
    };
    const onSignal = (): void => {
      if (isStopping) launcher.kill();
      stop();
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
    // Whoever read our log is gone, or the program that started us over a channel.
    process.stdout.on("error", stop);
    process.once("disconnect", stop);
    process.channel?.unref();
  });
}

function portBase(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const base = Number(text);
  if (/^\d{1,5}$/.test(text) && base >= 1024 && base <= 65_000) return base;
  throw wrongUse(`weft up: --port-base ${text} is not a port from 1024 to 65000`);
}

/** How the reader of the notes can call this command again. */
function ownCommand(): string {
  return import.meta.url.endsWith(".ts") ? "npm run -s weft --" : "npx weft";
}

function valueOrProblems<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw invalidInput(result.problems);
}
