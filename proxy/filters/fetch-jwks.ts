import { lookup } from "node:dns";
import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import type { JwtKeys } from "../../common/model/authentication.ts";
import { Cidr } from "../../common/routing/cidr.ts";

/** Bytes of a JWKS document that are read at most. */
const maxBytes = 256 * 1024;

/**
 * Fetches keys with limits of time and size. Redirects are not followed, and an address that is not public is refused, after it was looked
 * up too, unless `networks` allows it: resources of a mesh are written by many, and a proxy stands inside of the network
 * (CVE-2026-31837, CVE-2026-41413).
 */
export async function fetchJwks(keys: Extract<JwtKeys, { kind: "remote" }>): Promise<string> {
  const { uri, timeoutMs, networks } = keys;
  const allowed = networks.flatMap((network) => Cidr.parse(network) ?? []);
  const mayConnect = (address: string) =>
    !metadataServices.some((block) => block.contains(address)) &&
    (allowed.some((block) => block.contains(address)) || !notPublic.some((block) => block.contains(address)));
  const { hostname, protocol } = new URL(uri);
  const literal = hostname.replace(/^\[|\]$/g, "");
  if (isIP(literal) !== 0 && !mayConnect(literal)) throw new Error(refusal(literal));
  if (protocol !== "https:" && protocol !== "http:") throw new Error(`${protocol} is not http or https`);
  // Most proxies fetch no keys, and start sooner without the client.
  const { Agent, request } = await import("undici");
  const agent = new Agent({
    connect: { timeout: timeoutMs, lookup: checkedLookup(mayConnect) },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: maxBytes,
  });
  try {
    const { statusCode, body } = await request(uri, {
      dispatcher: agent,
      headers: { accept: "application/json" },
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (statusCode !== 200) {
      await body.dump();
      throw new Error(`the answer has status ${statusCode}`);
    }
    return await body.text();
  } finally {
    await agent.destroy();
  }
}

/** Looks a name up and refuses it when any of its addresses is refused, so that none can be slipped in. */
function checkedLookup(mayConnect: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      const refused = addresses.find(({ address }) => !mayConnect(address));
      if (refused) return callback(new Error(refusal(refused.address)), []);
      if (options.all) callback(null, addresses);
      else callback(null, addresses[0]!.address, addresses[0]!.family);
    });
  };
}

function refusal(address: string): string {
  return `${address} is not a public address (jwksNetworks in the mesh config allows others)`;
}

const blocks = (...texts: readonly string[]) => texts.map((text) => Cidr.parse(text)!);

/** Where clouds answer with credentials: never. */
const metadataServices = blocks("169.254.0.0/16", "fe80::/10", "fd00:ec2::254");

/** IANA's special-purpose blocks that are not reachable from everywhere. */
const notPublic = blocks(
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "224.0.0.0/3",
  "::/127",
  "fc00::/7",
  "ff00::/8",
);
