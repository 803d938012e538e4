import { isIPv6, SocketAddress } from "node:net";
import { networkInterfaces } from "node:os";

/** Whether connections to this IP address, in whatever spelling, end on this machine. */
export function isOwnAddress(address: string): boolean {
  const plain = canonical(address);
  if (plain.startsWith("127.") || plain === "0.0.0.0" || plain === "::" || plain === "::1") return true;
  return Object.values(networkInterfaces()).some((all) => all?.some((own) => own.address === plain));
}

/** One spelling for each address; an IPv4 address inside an IPv6 one (RFC 4291 2.5.5.2) is itself. */
function canonical(address: string): string {
  if (!isIPv6(address)) return address;
  const { address: plain } = new SocketAddress({ address, family: "ipv6" });
  return plain.startsWith("::ffff:") ? plain.slice(7) : plain;
}
