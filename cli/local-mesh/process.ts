import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import type { Clock } from "../../common/base/clock.ts";
import type { Guard } from "./guard.ts";
import type { LogPrefix } from "./log-prefix.ts";

/** How to start a process. A text command goes through the shell. */
export interface ProcessSpec {
  readonly name: string;
  readonly command: string | readonly string[];
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** How a process ended: `exit code 1`, `signal SIGKILL`, `could not start: …`. */
export interface ProcessEnd {
  readonly how: string;
  /** Exit code 0. */
  readonly isClean: boolean;
}

/** What processes share. */
export interface ProcessContext {
  readonly clock: Clock;
  readonly guard: Guard;
  readonly log: LogPrefix;
}

/** One running process in a group of its own, so that a Ctrl-C in the terminal reaches only the launcher, which stops all in order. */
export class RunningProcess {
  readonly pid: number | undefined;
  readonly ended: Promise<ProcessEnd>;
  readonly #clock: Clock;
  readonly #child: ChildProcess;
  #hasEnded = false;

  constructor(spec: ProcessSpec, prefix: string, { clock, guard, log }: ProcessContext) {
    const [file, args] =
      typeof spec.command === "string"
        ? ["/bin/sh", ["-c", spec.command]]
        : [spec.command[0] ?? "", spec.command.slice(1)];
    this.#clock = clock;
    this.#child = spawn(file, args, {
      cwd: spec.folder,
      env: spec.env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const { pid } = this.#child;
    this.pid = pid;
    if (pid !== undefined) guard.watch(pid);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      const sink = log.sink(prefix);
      stream
        ?.setEncoding("utf8")
        .on("data", (text: string) => sink.write(text))
        .once("close", () => sink.end());
    }
    this.ended = new Promise((resolve) => {
      const end = (how: string, isClean: boolean): void => {
        if (this.#hasEnded) return;
        this.#hasEnded = true;
        if (pid !== undefined) {
          // What it left behind in its group must not keep its ports.
          signalGroup(pid, "SIGKILL");
          guard.forget(pid);
        }
        resolve({ how, isClean });
      };
      this.#child.once("error", (error) => end(`could not start: ${error.message}`, false));
      this.#child.once("exit", (code, signal) => {
        end(signal === null ? `exit code ${code}` : `signal ${signal}`, code === 0);
      });
    });
  }

  /** Asks it to end, and ends it after `graceMs`. Resolves when it is gone. */
  async stop(graceMs: number): Promise<ProcessEnd> {
    this.signal("SIGTERM");
    const cancel = this.#clock.after(graceMs, () => this.signal("SIGKILL"));
    const end = await this.ended;
    cancel();
    return end;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.pid !== undefined && !this.#hasEnded) signalGroup(this.pid, signal);
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // Gone already.
  }
}
