import { hashModulo, xxHash64 } from "../../common/base/xxhash64.ts";

/** 240.240.0.0/16 and 2001:2::/48: addresses that no network uses, as Istio gives them to hosts that have none. A prime, so that any step visits all. */
const hostsInRange = 65_521;

/** The address of a host that has none of its own, by which captured connections are known to be meant for it. */
export interface VirtualAddress {
  readonly ipv4: string;
  readonly ipv6: string;
}

/**
 * An address for each host: by the host's own name, so that it is the same on every control plane and after every start; only hosts whose names
 * meet get the next free one. Who has one keeps it.
 * @param before what was given out last
 * @returns fewer addresses than hosts when there are more than 65,521 of them
 */
export function assignVirtualAddresses(
  hosts: Iterable<string>,
  before: ReadonlyMap<string, VirtualAddress> = new Map(),
): ReadonlyMap<string, VirtualAddress> {
  const sorted = [...new Set(hosts)].sort();
  const taken = new Set<string>();
  const given = new Map<string, VirtualAddress>();
  for (const host of sorted) {
    const known = before.get(host);
    if (known === undefined) continue;
    given.set(host, known);
    taken.add(known.ipv4);
  }
  for (const host of sorted) {
    if (given.has(host)) continue;
    if (taken.size >= hostsInRange) break;
    const hash = xxHash64(host);
    let slot = hashModulo(hash, hostsInRange);
    // A step of the host's own (double hashing): neighbours would pile up where the range is nearly full.
    const step = 1 + (hash.hi % (hostsInRange - 1));
    while (taken.has(addressAt(slot).ipv4)) slot = (slot + step) % hostsInRange;
    const address = addressAt(slot);
    given.set(host, address);
    taken.add(address.ipv4);
  }
  return given;
}

/** Slot 0 is 240.240.0.1: the range's own address is nobody's. */
function addressAt(slot: number): VirtualAddress {
  const number = slot + 1;
  return { ipv4: `240.240.${number >> 8}.${number & 0xff}`, ipv6: `2001:2::${number.toString(16)}` };
}
