import { BlockList, isIP } from "node:net";

/** Addresses and CIDRs, each with the length of its prefix. */
export class CidrList {
  readonly #blocks: readonly { readonly list: BlockList; readonly length: number }[];

  /** What is no address or CIDR matches nothing. */
  constructor(cidrs: readonly string[]) {
    this.#blocks = cidrs.flatMap((cidr) => {
      const [address = "", suffix] = cidr.split("/");
      const family = isIP(address);
      if (family === 0) return [];
      const length = suffix === undefined ? (family === 6 ? 128 : 32) : Number(suffix);
      const list = new BlockList();
      list.addSubnet(address, length, family === 6 ? "ipv6" : "ipv4");
      return [{ list, length }];
    });
  }

  /** The longest prefix that holds the address; -1 when none does. */
  longest(address: string): number {
    const plain = plainAddress(address);
    const family = isIP(plain) === 6 ? "ipv6" : "ipv4";
    let longest = -1;
    for (const { list, length } of this.#blocks)
      if (length > longest && list.check(plain, family)) longest = length;
    return longest;
  }
}

/** An IPv4 address that a dual-stack socket shows as IPv6 (RFC 4291 2.5.5.2), as itself. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}
