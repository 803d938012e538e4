import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import { availableParallelism } from "node:os";
import { setTimeout as wait } from "node:timers/promises";

/** A process that the benchmark started and will stop. */
export interface Child {
  readonly pid: number;
  /** The last of what it printed, for error messages. */
  output(): string;
  isRunning(): boolean;
  /** Ends it with SIGTERM, and with SIGKILL when it does not obey within two seconds. */
  stop(): Promise<void>;
}

export interface ChildOptions {
  /** The core it may use; ignored where that cannot be said (not Linux, or one core only). */
  readonly core?: number;
  readonly cwd?: string;
}

const running = new Set<ChildProcess>();

/** Starts a program. Everything started here is killed when this process ends, however it ends short of SIGKILL. */
export function startChild(command: string, args: readonly string[], options: ChildOptions = {}): Child {
  const [program, programArgs] = pinned(command, args, options.core);
  const child = spawn(program, programArgs, { cwd: options.cwd, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let output = "";
  let isRunning = true;
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString("utf8")).slice(-20_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const ended = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      output += error.message;
      isRunning = false;
      resolve();
    });
    child.once("close", () => {
      isRunning = false;
      resolve();
    });
  }).then(() => void running.delete(child));
  return {
    pid: child.pid ?? 0,
    output: () => output,
    isRunning: () => isRunning,
    async stop() {
      if (isRunning) child.kill("SIGTERM");
      await Promise.race([ended, wait(2000, undefined, { ref: false })]);
      if (isRunning) child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Runs a program to its end and answers what it printed. Rejects when it fails or takes longer than `timeoutMs`. */
export async function runChild(
  command: string,
  args: readonly string[],
  options: ChildOptions & { readonly timeoutMs: number },
): Promise<string> {
  const [program, programArgs] = pinned(command, args, options.core);
  const child = spawn(program, programArgs, { cwd: options.cwd, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs);
  const chunks: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  try {
    const [code, signal] = (await once(child, "close")) as [number | null, string | null];
    if (code !== 0) {
      const said = Buffer.concat(errors).toString("utf8").trim().split("\n").slice(-5).join("\n");
      throw new Error(`${command} ended with ${signal ?? `exit code ${code}`}: ${said}`);
    }
  } finally {
    clearTimeout(timer);
    running.delete(child);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Makes Ctrl-C and a crash of the benchmark take its children along. Call once, first. */
export function stopChildrenOnExit(): void {
  process.on("exit", () => {
    for (const child of running) child.kill("SIGKILL");
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => process.exit(130));
  }
}

/** Waits until something accepts connections on the port of 127.0.0.1; rejects when the child ends before. */
export async function untilListening(port: number, child: Child, timeoutMs = 20_000): Promise<void> {
  const until = performance.now() + timeoutMs;
  while (performance.now() < until) {
    if (!child.isRunning()) throw new Error(`it ended before it listened:\n${child.output()}`);
    if (await accepts(port)) return;
    await wait(20);
  }
  throw new Error(`nothing listens on port ${port} after ${timeoutMs} ms:\n${child.output()}`);
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function pinned(
  command: string,
  args: readonly string[],
  core: number | undefined,
): [string, readonly string[]] {
  if (core === undefined || process.platform !== "linux" || availableParallelism() < 2)
    return [command, args];
  return ["taskset", ["--cpu-list", String(core), command, ...args]];
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
