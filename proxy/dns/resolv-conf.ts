import { isIP } from "node:net";
import type { SocketAddress } from "../../common/model/node.ts";

const dnsPort = 53;

/** The name servers of a resolv.conf(5), in its order; a machine without one asks itself. */
export function nameServers(resolvConf: string): readonly SocketAddress[] {
  const servers = resolvConf
    .split("\n")
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1])
    .filter((host) => host !== undefined && isIP(host.replace(/%.*$/, "")) !== 0)
    .map((host) => ({ host: host!, port: dnsPort }));
  return servers.length > 0 ? servers : [{ host: "127.0.0.1", port: dnsPort }];
}
