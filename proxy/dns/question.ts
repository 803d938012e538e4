/** Bytes of a message's header (RFC 1035 section 4.1.1). */
export const headerBytes = 12;

/** Where the first question of a message ends; past the message's end when it is cut short. */
export function endOfQuestion(message: Buffer): number {
  let at = headerBytes;
  while (at < message.length && message[at] !== 0) at += message[at]! + 1;
  return at + 5;
}
