import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";

/**
 * Reads `+ GROUP` and `- GROUP` lines and ends the groups that are left when its input ends, whatever ended it. A shell,
 * because it is there on every system, needs a megabyte, and must outlive us without Node.
 */
const script = `
trap '' INT HUP TERM
groups=''
while read -r sign group; do
  rest=''
  for one in $groups; do [ "$one" = "$group" ] || rest="$rest $one"; done
  groups="$rest"
  [ "$sign" = + ] && groups="$groups $group"
done
[ -z "$groups" ] && exit 0
for group in $groups; do kill -TERM "-$group" 2>/dev/null; done
sleep 2
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
exit 0
`;

/**
 * Makes sure that nothing outlives the launcher: if it dies without a word (kill -9, a crash, a closed terminal), the guard's
 * input ends and it ends every process group it was told of.
 */
export class Guard {
  readonly #shell: ChildProcess;

  constructor() {
    this.#shell = spawn("/bin/sh", ["-c", script], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    this.#shell.stdin?.on("error", () => {});
    // Not unref: between the end of a part and its restart this is all that keeps the launcher running.
  }

  watch(group: number): void {
    this.#shell.stdin?.write(`+ ${group}\n`);
  }

  forget(group: number): void {
    this.#shell.stdin?.write(`- ${group}\n`);
  }

  /** To be called when no group is left. */
  stop(): void {
    this.#shell.stdin?.end();
  }
}
