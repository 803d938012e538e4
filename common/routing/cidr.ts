/** A block of IP addresses made ready. IPv4 addresses that come as IPv6 (`::ffff:10.0.0.1`) count as IPv4. */
export class Cidr {
  readonly #base: bigint;
  readonly #shift: bigint;
  readonly #isV4: boolean;

  private constructor(address: Address, length: number) {
    this.#isV4 = address.isV4;
    this.#shift = BigInt((address.isV4 ? 32 : 128) - length);
    this.#base = address.value >> this.#shift;
  }

  /** `10.0.0.0/8`, or one address; undefined for anything else. */
  static parse(text: string): Cidr | undefined {
    const slash = text.indexOf("/");
    const address = parseAddress(slash === -1 ? text : text.slice(0, slash));
    if (address === undefined) return undefined;
    const most = address.isV4 ? 32 : 128;
    if (slash === -1) return new Cidr(address, most);
    const digits = text.slice(slash + 1);
    if (!/^\d{1,3}$/.test(digits) || Number(digits) > most) return undefined;
    return new Cidr(address, Number(digits));
  }

  contains(text: string): boolean {
    const address = parseAddress(text);
    if (address === undefined || address.isV4 !== this.#isV4) return false;
    return address.value >> this.#shift === this.#base;
  }
}

interface Address {
  readonly isV4: boolean;
  readonly value: bigint;
}

/** Undefined for what is no address; a zone (`fe80::1%eth0`) is left out. Never throws. */
export function parseAddress(text: string): Address | undefined {
  const v4 = parseV4(text);
  if (v4 !== undefined) return { isV4: true, value: BigInt(v4) };
  if (!text.includes(":")) return undefined;
  const v6 = parseV6(text.replace(/%.*$/, ""));
  if (v6 === undefined) return undefined;
  return v6 >> 32n === 0xffffn ? { isV4: true, value: v6 & 0xffff_ffffn } : { isV4: false, value: v6 };
}

function parseV4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    // A leading zero is octal to some.
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256 + Number(part);
  }
  return value;
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(groupsOf);
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...(tail ?? [])];
  return groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

function groupsOf(text: string): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (index === parts.length - 1 && part.includes(".")) {
      const v4 = parseV4(part);
      if (v4 === undefined) return undefined;
      groups.push(v4 >>> 16, v4 & 0xffff);
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}
