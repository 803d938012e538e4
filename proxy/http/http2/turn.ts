/** Something that gathers output and writes it once per turn of the event loop. */
export interface Flushable {
  flush(): void;
}

let due: Flushable[] = [];

/**
 * Has `output` flushed once everything that this turn's reads bring has been dealt with, so that all frames of the turn leave each socket
 * in one write. To be called once per turn and output.
 */
export function flushAfterTurn(output: Flushable): void {
  if (due.push(output) === 1) setImmediate(flushAll);
}

function flushAll(): void {
  const outputs = due;
  due = [];
  for (const output of outputs) output.flush();
}
