import type { Problem } from "./problem.ts";

/** Either a value or every problem that stood in its way, never both and never an exception. */
export type Result<T> = Ok<T> | Failed;

export interface Ok<T> {
  readonly ok: true;
  readonly value: T;
}

export interface Failed {
  readonly ok: false;
  readonly problems: readonly Problem[];
}

export function ok<T>(value: T): Ok<T> {
  return { ok: true, value };
}

export function failed(problems: readonly Problem[]): Failed {
  return { ok: false, problems };
}
