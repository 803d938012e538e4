import type { CancelTimer } from "../../common/base/clock.ts";
import type { ProcessContext, ProcessEnd, ProcessSpec } from "./process.ts";
import { RunningProcess } from "./process.ts";

export interface SupervisorOptions {
  readonly spec: ProcessSpec;
  /** `restart`: it is started again whenever it ends. `report`: its end is only told. */
  readonly onEnd: "restart" | "report";
  /** Told of each end that nobody asked for; `restartInMs` is absent when it is not started again. */
  readonly whenEnded: (end: ProcessEnd, restartInMs: number | undefined) => void;
  readonly whenStarted?: (pid: number | undefined) => void;
}

/** A process that lived this long, in ms, has started well: its next restart is immediate again. */
const settledMs = 10_000;
const firstPauseMs = 100;
const longestPauseMs = 5000;

/** Keeps one process running: the first restart is immediate, each further one waits twice as long, from 100 ms to 5 s. */
export class Supervisor {
  readonly name: string;
  readonly #options: SupervisorOptions;
  readonly #context: ProcessContext;
  readonly #prefix: string;
  #process: RunningProcess | undefined;
  #cancelRestart: CancelTimer | undefined;
  #isStopping = false;
  #restarts = 0;

  constructor(options: SupervisorOptions, context: ProcessContext) {
    this.name = options.spec.name;
    this.#options = options;
    this.#context = context;
    this.#prefix = context.log.prefixFor(options.spec.name);
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  start(): void {
    if (this.#isStopping) return;
    const { clock } = this.#context;
    const startedAt = clock.monotonic();
    const started = new RunningProcess(this.#options.spec, this.#prefix, this.#context);
    this.#process = started;
    this.#options.whenStarted?.(started.pid);
    void started.ended.then((end) => {
      this.#process = undefined;
      if (this.#isStopping) return;
      if (this.#options.onEnd === "report") {
        this.#options.whenEnded(end, undefined);
        return;
      }
      if (clock.monotonic() - startedAt > settledMs) this.#restarts = 0;
      const pauseMs = restartPauseMs(this.#restarts++);
      this.#options.whenEnded(end, pauseMs);
      if (pauseMs === 0) this.start();
      else this.#cancelRestart = clock.after(pauseMs, () => this.start());
    });
  }

  /** Ends it for good; after `graceMs` by force. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    this.#cancelRestart?.();
    await this.#process?.stop(graceMs);
  }

  kill(): void {
    this.#isStopping = true;
    this.#cancelRestart?.();
    this.#process?.signal("SIGKILL");
  }
}

/** The pause in ms before restart number `restart`, counted from 0. */
export function restartPauseMs(restart: number): number {
  return restart === 0 ? 0 : Math.min(longestPauseMs, firstPauseMs * 2 ** (restart - 1));
}
