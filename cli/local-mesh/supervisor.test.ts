import { existsSync, readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { Guard } from "./guard.ts";
import { LogPrefix } from "./log-prefix.ts";
import type { ProcessEnd } from "./process.ts";
import { RunningProcess } from "./process.ts";
import { restartPauseMs, Supervisor } from "./supervisor.ts";

const guards: Guard[] = [];

function context() {
  const lines: string[] = [];
  const guard = new Guard();
  guards.push(guard);
  const log = new LogPrefix(["part"], false, (text) => lines.push(text));
  return { lines, guard, log, clock: systemClock };
}

const env = process.env;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // In a container nobody may collect what has ended; it still has a pid then, but is dead.
  const stat = `/proc/${pid}/stat`;
  return !existsSync(stat) || !/\) Z /.test(readFileSync(stat, "utf8"));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

afterEach(() => {
  for (const guard of guards.splice(0)) guard.stop();
});

describe("RunningProcess", () => {
  it("it puts the part's name before each line and tells how it ended", async () => {
    const { lines, ...rest } = context();
    const spec = { name: "part", command: "echo one; printf two >&2; exit 3", folder: ".", env };
    const end = await new RunningProcess(spec, "part | ", rest).ended;
    await until(() => lines.length === 2);
    expect(end).toEqual({ how: "exit code 3", isClean: false });
    expect(lines.toSorted()).toEqual(["part | one\n", "part | two\n"]);
  });

  it("it tells when a command cannot start", async () => {
    const spec = { name: "part", command: ["/no/such/command"], folder: ".", env };
    expect((await new RunningProcess(spec, "", context()).ended).how).toMatch(/^could not start: .*ENOENT/);
  });

  it("it ends what does not want to end, with all it started", async () => {
    const { lines, ...rest } = context();
    const command = "trap '' TERM; sleep 1000 & echo $!; wait; wait; sleep 1000";
    const running = new RunningProcess({ name: "part", command, folder: ".", env }, "", rest);
    await until(() => lines.length === 1);
    expect((await running.stop(50)).how).toBe("signal SIGKILL");
    await until(() => !isAlive(Number(lines[0])));
  });
});

describe("Supervisor", () => {
  it("it starts a killed process again at once, and then waits longer each time", async () => {
    const ends: { end: ProcessEnd; pause: number | undefined }[] = [];
    const pids: number[] = [];
    const part = new Supervisor(
      {
        spec: { name: "part", command: ["sleep", "1000"], folder: ".", env },
        onEnd: "restart",
        whenEnded: (end, pause) => ends.push({ end, pause }),
        whenStarted: (pid) => pids.push(pid!),
      },
      context(),
    );
    part.start();
    process.kill(pids[0]!, "SIGKILL");
    await until(() => pids.length === 2);
    process.kill(pids[1]!, "SIGKILL");
    await until(() => pids.length === 3);
    expect(ends).toEqual([
      { end: { how: "signal SIGKILL", isClean: false }, pause: 0 },
      { end: { how: "signal SIGKILL", isClean: false }, pause: 100 },
    ]);
    await part.stop(1000);
    expect(pids.some(isAlive)).toBe(false);
    expect(ends).toHaveLength(2);
  });

  it("it waits at most 5 s", () => {
    expect([0, 1, 2, 3, 6, 7, 1000].map(restartPauseMs)).toEqual([0, 100, 200, 400, 3200, 5000, 5000]);
  });
});

describe("Guard", () => {
  it("it ends what is left when the launcher is gone, and only that", async () => {
    const { guard, ...rest } = context();
    const own = { ...rest, guard: new Guard() };
    guards.push(own.guard);
    const spec = { name: "part", command: ["sleep", "1000"], folder: ".", env };
    const [left, kept] = [new RunningProcess(spec, "", own), new RunningProcess(spec, "", own)];
    own.guard.forget(kept.pid!);
    // The end of its input is all that it sees of a launcher's death.
    own.guard.stop();
    expect((await left.ended).how).toBe("signal SIGTERM");
    expect(isAlive(kept.pid!)).toBe(true);
    guard.watch(kept.pid!);
    await kept.stop(1000);
  });
});
