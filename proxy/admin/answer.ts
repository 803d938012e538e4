/** What an admin page answers. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function text(body: string, status = 200, headers?: Readonly<Record<string, string>>): Answer {
  const contentType = "text/plain; charset=utf-8";
  const line = body.endsWith("\n") || body === "" ? body : `${body}\n`;
  return { status, contentType, body: line, ...(headers === undefined ? {} : { headers }) };
}

/** Bodies of direct responses are printed as text. */
export function json(value: unknown, status = 200): Answer {
  const body = JSON.stringify(value, bytesAsText, 2);
  return { status, contentType: "application/json", body: `${body}\n` };
}

/** Reads the member from its holder, because a Buffer has turned itself into numbers before a replacer sees it. */
function bytesAsText(this: unknown, key: string, member: unknown): unknown {
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Uint8Array ? Buffer.from(original).toString("utf8") : member;
}
