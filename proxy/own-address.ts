import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

/** Whether connections to this address end on this machine. */
export function isOwnAddress(address: string): boolean {
  const plain = isIPv6(address) && address.startsWith("::ffff:") ? address.slice(7) : address;
  if (plain.startsWith("127.") || plain === "0.0.0.0" || plain === "::" || plain === "::1") return true;
  return Object.values(networkInterfaces()).some((all) => all?.some((own) => own.address === plain));
}
