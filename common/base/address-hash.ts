import type { Hash64 } from "./xxhash64.ts";
import { xxHash64 } from "./xxhash64.ts";

/** Envoy's hash of a client's address, for requests and connections that go by it: without the prefix that a dual-stack socket gives to IPv4. */
export function addressHash(address: string): Hash64 {
  return xxHash64(address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address);
}
