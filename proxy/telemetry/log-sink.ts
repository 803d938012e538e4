import { close, openSync, write } from "node:fs";
import type { Clock } from "../../common/base/clock.ts";

/** Where lines go. Never blocks the caller and never holds more than its limit. */
export interface LogSink {
  write(line: string): void;
  /** Writes what is still held, waiting for it, and closes a file. */
  stop(): Promise<void>;
}

export interface LogSinkParts {
  /** A path, opened for appending; "stdout" is the process's own. */
  readonly target: string;
  readonly clock: Clock;
  /** Characters held at most while the reader is slow. Default 1 MiB. */
  readonly maxHeld?: number;
  /** Called with the number of lines given up. */
  readonly onDrop?: (lines: number) => void;
}

/**
 * Gathers the lines of one turn of the event loop into one write, with one write under way at a time. Uses the thread pool even for
 * stdout, because process.stdout blocks the whole process when it is a pipe whose reader has stalled.
 * Throws when the file cannot be opened.
 */
export function openLogSink(parts: LogSinkParts): LogSink {
  const { clock, onDrop } = parts;
  const maxHeld = parts.maxHeld ?? 1024 * 1024;
  const file = parts.target === "stdout" ? 1 : openSync(parts.target, "a");
  let held = "";
  let isScheduled = false;
  let whenIdle: (() => void) | undefined;

  const schedule = (): void => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(flush);
  };
  const flush = (): void => {
    const batch = Buffer.from(held, "utf8");
    held = "";
    writeAll(batch);
  };
  const writeAll = (bytes: Buffer): void => {
    if (bytes.length === 0) {
      isScheduled = false;
      if (held !== "") schedule();
      else whenIdle?.();
      return;
    }
    write(file, bytes, (error, written) => {
      if (error === null) writeAll(bytes.subarray(written));
      else if (error.code === "EAGAIN") clock.after(10, () => writeAll(bytes));
      else {
        onDrop?.(countLines(bytes));
        writeAll(Buffer.alloc(0));
      }
    });
  };

  return {
    write(line) {
      if (held.length + line.length > maxHeld) {
        onDrop?.(1);
        return;
      }
      held += line;
      schedule();
    },
    async stop() {
      if (isScheduled) {
        const idle = new Promise<void>((resolve) => {
          whenIdle = resolve;
        });
        // A reader that has stalled for good must not keep the process from ending.
        let giveUp: (() => void) | undefined;
        await Promise.race([
          idle,
          new Promise<void>((resolve) => {
            giveUp = clock.after(2000, resolve);
          }),
        ]);
        giveUp?.();
      }
      if (file !== 1) await new Promise<void>((resolve) => close(file, () => resolve()));
    },
  };
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (const byte of bytes) if (byte === 10) lines++;
  return lines;
}
