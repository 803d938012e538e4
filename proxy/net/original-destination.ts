import type { Socket } from "node:net";
import type { SocketAddress } from "../../common/model/node.ts";

/** Tells where a redirected connection was meant to go; undefined when the kernel doesn't know it. */
export type ReadOriginalDestination = (socket: Socket) => SocketAddress | undefined;

// include/uapi/linux/in.h, in6.h, netfilter_ipv4.h and netfilter_ipv6/ip6_tables.h: both options have the same number.
const solIp = 0;
const solIpv6 = 41;
const soOriginalDst = 80;
const sizeOfSockaddr = 28;

/**
 * Loads what asks the kernel (getsockopt SO_ORIGINAL_DST), which costs some memory: only for proxies whose connections are captured.
 * Rejects with an Error that says so where there is no such thing.
 */
export async function loadOriginalDestination(): Promise<ReadOriginalDestination> {
  if (process.platform !== "linux")
    throw new Error(`connections can't be captured on ${process.platform} (hint: capture needs Linux)`);
  const { default: koffi } = await import("koffi");
  const getsockopt = koffi
    .load(null)
    .func("int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)") as (
    fd: number,
    level: number,
    name: number,
    value: Uint8Array,
    length: [number],
  ) => number;
  const value = Buffer.alloc(sizeOfSockaddr);
  return (socket) => {
    const fd = (socket as { readonly _handle?: { readonly fd?: number } | null })._handle?.fd;
    if (fd === undefined || fd < 0) return undefined;
    // A socket that takes both families shows IPv4 peers as ::ffff:…, and knows their destination by the IPv4 option.
    const isIpv4 = socket.remoteFamily === "IPv4" || (socket.remoteAddress ?? "").startsWith("::ffff:");
    const failed = getsockopt(fd, isIpv4 ? solIp : solIpv6, soOriginalDst, value, [sizeOfSockaddr]) !== 0;
    return failed ? undefined : readSocketAddress(value, isIpv4);
  };
}

/** sockaddr_in or sockaddr_in6: family, port in network order, then the address. */
function readSocketAddress(value: Buffer, isIpv4: boolean): SocketAddress {
  const port = value.readUInt16BE(2);
  if (isIpv4) return { host: value.subarray(4, 8).join("."), port };
  const groups = Array.from({ length: 8 }, (_, index) => value.readUInt16BE(8 + 2 * index).toString(16));
  return { host: new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1), port };
}
