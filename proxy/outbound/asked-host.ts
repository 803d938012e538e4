import { portOf } from "../../common/routing/host.ts";
import type { Exchange } from "../http/exchange.ts";

/**
 * The authority that routes are looked up by. A client that speaks to a port of a service itself need not name that port (RFC 9110
 * section 7.2 has it left out where it is the scheme's own), so on a redirected connection the port counts that it was meant for.
 */
export function askedHost({ authority, downstream }: Exchange): string {
  const { destination, isRedirected } = downstream;
  if (!isRedirected || destination === undefined || authority === "" || portOf(authority) !== "")
    return authority;
  return `${authority}:${destination.port}`;
}
