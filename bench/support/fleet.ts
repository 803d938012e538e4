import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Child } from "./children.ts";
import { startChild } from "./children.ts";
import { loadCore } from "./cores.ts";

const loadProgram = fileURLToPath(new URL("./ads-load.ts", import.meta.url));
/** Streams in one process. */
const streamsPerProcess = 500;
/** ms that all of it may take, whatever hangs. */
const limitMs = (proxies: number) => 30_000 + proxies * 150;

interface Step {
  readonly what: string;
  readonly round: number;
  readonly atMs: number;
  readonly bytes: number;
}

/** The processes that hold the proxies' streams. */
export class Fleet {
  readonly #port: number;
  readonly #proxies: number;
  readonly #asks: string | undefined;
  readonly #until: number;
  readonly #children: Child[] = [];

  /** `asks`: the authority of the one host that each asks for; absent: each asks for all. */
  constructor(port: number, proxies: number, asks: string | undefined) {
    this.#port = port;
    this.#proxies = proxies;
    this.#asks = asks;
    this.#until = now() + limitMs(proxies);
  }

  async start(): Promise<{ readonly atMs: number; readonly bytes: number }> {
    const opened = this.next("opened");
    for (let first = 0; first < this.#proxies; first += streamsPerProcess) {
      const count = Math.min(streamsPerProcess, this.#proxies - first);
      const args = [
        loadProgram,
        "--port",
        String(this.#port),
        "--first",
        String(first),
        "--count",
        String(count),
        ...(this.#asks === undefined ? [] : ["--asks", this.#asks]),
      ];
      this.#children.push(startChild(process.execPath, args, { core: loadCore }));
    }
    return opened;
  }

  /** Settles when every proxy has answered a response of a kind that came from now on, not one that was still on its way before. */
  async next(what: string): Promise<{ readonly atMs: number; readonly bytes: number }> {
    const since = now();
    for (;;) {
      const steps = this.#children.map((child) => stepOf(child, what, since));
      if (steps.length > 0 && steps.every((step) => step !== undefined)) {
        return {
          atMs: Math.max(...steps.map(({ atMs }) => atMs)),
          bytes: steps.reduce((sum, step) => sum + step.bytes, 0),
        };
      }
      const ended = this.#children.find((child) => !child.isRunning() || child.output().includes('{"ended"'));
      if (ended) throw new Error(`a proxy lost its stream: ${ended.output().slice(-300)}`);
      if (now() > this.#until)
        throw new Error(`not every proxy has answered after ${limitMs(this.#proxies) / 1000} s (${what})`);
      await wait(5);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
  }
}

function stepOf(child: Child, what: string, since: number): Step | undefined {
  const start = `{"what":"${what}",`;
  return child
    .output()
    .split("\n")
    .filter((text) => text.startsWith(start) && text.endsWith("}"))
    .map((text) => JSON.parse(text) as Step)
    .find(({ atMs }) => atMs >= since);
}

/** The wall clock, because processes whose clocks were read at different starts drift apart. */
function now(): number {
  return Date.now();
}
