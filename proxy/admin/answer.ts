import { jsonPieces } from "./json-pieces.ts";

/** What an admin page answers. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  /** Pieces are printed as they are sent, with turns for the traffic between them. */
  readonly body: string | Iterable<string>;
  readonly headers?: Readonly<Record<string, string>>;
}

export function text(body: string, status = 200, headers?: Readonly<Record<string, string>>): Answer {
  const contentType = "text/plain; charset=utf-8";
  const line = body.endsWith("\n") || body === "" ? body : `${body}\n`;
  return { status, contentType, body: line, ...(headers === undefined ? {} : { headers }) };
}

/** Bodies of direct responses are printed as text. */
export function json(value: unknown, status = 200): Answer {
  return { status, contentType: "application/json", body: lines(jsonPieces(value)) };
}

function* lines(pieces: Iterable<string>): Generator<string> {
  yield* pieces;
  yield "\n";
}
