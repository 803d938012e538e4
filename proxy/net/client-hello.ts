/** What the first bytes of a connection say. */
export type FirstBytes =
  | { readonly kind: "incomplete" }
  /** Not TLS: some other protocol's bytes. `protocols`: "http/1.1" or "h2c" where somebody looked and it is that. */
  | { readonly kind: "plain"; readonly protocols?: readonly string[] }
  /** Begins like TLS, and can't be it. */
  | { readonly kind: "malformed" }
  /**
   * `serverName`: lower case, without a final dot; absent when the client named none. `protocols`: what it offers to speak (ALPN);
   * absent when it says nothing of that.
   */
  | { readonly kind: "tls"; readonly serverName?: string; readonly protocols?: readonly string[] };

const incomplete: FirstBytes = { kind: "incomplete" };
const malformed: FirstBytes = { kind: "malformed" };

/** A ClientHello is a few hundred octets, with post-quantum keys some 2,000. */
export const maxClientHelloOctets = 32_768;

/**
 * Reads the server name and the offered protocols of a ClientHello (RFC 8446 4.1.2, RFC 6066 3), which may be cut into any number of TLS records. Takes
 * what has arrived so far, from the first byte on. Never throws.
 */
export function readClientHello(bytes: Buffer): FirstBytes {
  if (bytes.length === 0) return incomplete;
  if (bytes[0] !== handshakeRecord) return { kind: "plain" };
  const fragments: Buffer[] = [];
  let wanted = 4;
  let have = 0;
  let isWhole = false;
  for (let at = 0; !isWhole; ) {
    if (bytes.length > at && bytes[at] !== handshakeRecord) return malformed;
    if (bytes.length > at + 1 && bytes[at + 1] !== 3) return malformed;
    if (bytes.length < at + 5) return incompleteUpTo(bytes);
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > 16_384) return malformed;
    const fragment = bytes.subarray(at + 5, at + 5 + length);
    fragments.push(fragment);
    have += fragment.length;
    const head = have >= 4 ? join(fragments) : undefined;
    if (head !== undefined) {
      if (head[0] !== clientHello) return malformed;
      wanted = 4 + head.readUIntBE(1, 3);
      if (wanted > maxClientHelloOctets) return malformed;
    }
    isWhole = head !== undefined && have >= wanted;
    if (!isWhole && fragment.length < length) return incompleteUpTo(bytes);
    at += 5 + length;
  }
  return readHello(new Reader(join(fragments).subarray(4, wanted)));
}

function incompleteUpTo(bytes: Buffer): FirstBytes {
  return bytes.length > maxClientHelloOctets ? malformed : incomplete;
}

function join(fragments: readonly Buffer[]): Buffer {
  return fragments.length === 1 ? fragments[0]! : Buffer.concat(fragments);
}

function readHello(hello: Reader): FirstBytes {
  hello.skip(2 + 32);
  hello.skip(hello.uint(1));
  hello.skip(hello.uint(2));
  hello.skip(hello.uint(1));
  if (hello.isShort) return malformed;
  // TLS 1.2 without any extension.
  if (hello.isAtEnd) return { kind: "tls" };
  const extensions = hello.part(hello.uint(2));
  let named: FirstBytes = { kind: "tls" };
  let protocols: readonly string[] | undefined;
  while (!extensions.isAtEnd && !extensions.isShort) {
    const type = extensions.uint(2);
    const content = extensions.part(extensions.uint(2));
    if (extensions.isShort) return malformed;
    if (type === serverNameExtension) named = readServerNames(content);
    else if (type === protocolsExtension) {
      protocols = readProtocols(content);
      if (protocols === undefined) return malformed;
    }
    if (named.kind === "malformed") return malformed;
  }
  if (hello.isShort || extensions.isShort) return malformed;
  return protocols === undefined || named.kind !== "tls" ? named : { ...named, protocols };
}

/** RFC 7301 3.1; undefined when it is not well formed. */
function readProtocols(content: Reader): readonly string[] | undefined {
  const list = content.part(content.uint(2));
  const protocols: string[] = [];
  while (!list.isAtEnd && !list.isShort) protocols.push(list.part(list.uint(1)).text());
  return list.isShort ? undefined : protocols;
}

function readServerNames(content: Reader): FirstBytes {
  const list = content.part(content.uint(2));
  while (!list.isAtEnd && !list.isShort) {
    const type = list.uint(1);
    const name = list.part(list.uint(2)).text();
    if (list.isShort) return malformed;
    if (type !== hostName) continue;
    const serverName = name.toLowerCase().replace(/\.$/, "");
    return /^[a-z0-9_.-]{1,253}$/.test(serverName) ? { kind: "tls", serverName } : malformed;
  }
  return malformed;
}

/** Reads numbers and parts one after the other; past the end it gives zeros and notes that it was short. */
class Reader {
  isShort = false;
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  uint(octets: 1 | 2): number {
    const at = this.#at;
    this.skip(octets);
    return this.isShort ? 0 : this.#bytes.readUIntBE(at, octets);
  }

  skip(octets: number): void {
    if (this.#at + octets > this.#bytes.length) this.isShort = true;
    else this.#at += octets;
  }

  part(octets: number): Reader {
    const at = this.#at;
    this.skip(octets);
    const part = new Reader(this.#bytes.subarray(at, this.isShort ? at : at + octets));
    part.isShort = this.isShort;
    return part;
  }

  text(): string {
    return this.#bytes.toString("latin1");
  }
}

const handshakeRecord = 22;
const clientHello = 1;
const serverNameExtension = 0;
const protocolsExtension = 16;
const hostName = 0;
