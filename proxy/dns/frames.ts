/** A message as TCP carries it: its length in two bytes, then itself (RFC 1035 section 4.2.2). */
export function frame(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Puts messages together from the chunks of a TCP connection. Holds no more than one message. */
export class DnsFrames {
  #held: Buffer = Buffer.alloc(0);

  /** The messages that are whole with this chunk. */
  push(chunk: Buffer): readonly Buffer[] {
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const messages: Buffer[] = [];
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0);
      messages.push(rest.subarray(2, end));
      rest = rest.subarray(end);
    }
    this.#held = rest;
    return messages;
  }
}
