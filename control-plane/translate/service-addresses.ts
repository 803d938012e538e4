import { isIP } from "node:net";
import type { MeshService, Snapshot } from "../snapshot/snapshot.ts";
import type { VirtualAddress } from "../snapshot/virtual-addresses.ts";
import { assignVirtualAddresses } from "../snapshot/virtual-addresses.ts";

interface Given {
  readonly services: ReadonlyMap<string, MeshService>;
  readonly addresses: ReadonlyMap<string, VirtualAddress>;
}

/** By lineage: who has an address keeps it while the control plane runs. */
const given = new WeakMap<object, Given>();

/**
 * The addresses by which captured connections are known to be meant for a service: its own, CIDRs too; else one of each family that is made
 * from its name. None for wildcards and services that are wherever their name leads (resolution NONE).
 */
export function serviceAddresses(snapshot: Snapshot, service: MeshService): readonly string[] {
  if (service.addresses.length > 0) return service.addresses;
  const made = virtualAddressesOf(snapshot).get(service.hostname);
  return made === undefined ? [] : [made.ipv4, made.ipv6];
}

/** Those that an answer to a DNS question can hold. */
export function answerableAddresses(snapshot: Snapshot, service: MeshService): readonly string[] {
  return serviceAddresses(snapshot, service).filter((address) => isIP(address) !== 0);
}

function virtualAddressesOf({ services, lineage }: Snapshot): Given["addresses"] {
  const before = given.get(lineage);
  if (before?.services === services.byKey) return before.addresses;
  const without = [...services.byKey.values()].filter(
    ({ addresses, hostname, resolution }) =>
      addresses.length === 0 && resolution !== "none" && !hostname.startsWith("*"),
  );
  const addresses = assignVirtualAddresses(
    without.map(({ hostname }) => hostname),
    before?.addresses,
  );
  given.set(lineage, { services: services.byKey, addresses });
  return addresses;
}
