import { isIP } from "node:net";
import type { ChainMatch } from "../model/listener.ts";
import type messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";

type WireMatch = messages.envoy.config.listener.v3.FilterChainMatch;
type CidrRange = messages.envoy.config.core.v3.CidrRange;

/** Envoy's names for what our `transport` says. */
const transports = { tls: "tls", raw: "raw_buffer" } as const;

/** Undefined when the chain takes whatever comes. */
export function toChainMatch(match: ChainMatch): WireMatch | undefined {
  const { destinationPort, destinationCidrs = [], serverNames = [], transport, sourceCidrs = [] } = match;
  const { applicationProtocols = [] } = match;
  const listed = [destinationCidrs, serverNames, applicationProtocols, sourceCidrs];
  const isOpen = listed.every((list) => list.length === 0);
  if (isOpen && destinationPort === undefined && transport === undefined) return undefined;
  return {
    ...(destinationPort === undefined ? {} : { destinationPort: { value: destinationPort } }),
    ...(destinationCidrs.length > 0 ? { prefixRanges: destinationCidrs.map(toCidrRange) } : {}),
    ...(serverNames.length > 0 ? { serverNames: [...serverNames] } : {}),
    ...(transport === undefined ? {} : { transportProtocol: transports[transport] }),
    ...(applicationProtocols.length > 0 ? { applicationProtocols: [...applicationProtocols] } : {}),
    ...(sourceCidrs.length > 0 ? { sourcePrefixRanges: sourceCidrs.map(toCidrRange) } : {}),
  };
}

/** A predicate that is not understood would let a chain take what is not meant for it. */
export function fromChainMatch(
  match: WireMatch | null | undefined,
  path: string,
  reading: Reading,
): ChainMatch {
  if (!match) return {};
  reading.refuseUnknown(match, "envoy.config.listener.v3.FilterChainMatch", path);
  const set: Readonly<Record<string, boolean>> = {
    addressSuffix: !!match.addressSuffix,
    suffixLen: !!match.suffixLen,
    sourceType: !!match.sourceType,
    sourcePorts: (match.sourcePorts ?? []).length > 0,
    directSourcePrefixRanges: (match.directSourcePrefixRanges ?? []).length > 0,
  };
  for (const [name, isSet] of Object.entries(set))
    if (isSet) reading.problem(`${path}.${name}`, "is not supported");
  const serverNames = (match.serverNames ?? []).map((name) => name.toLowerCase());
  const cidrs = (match.prefixRanges ?? []).map(fromCidrRange);
  const sources = (match.sourcePrefixRanges ?? []).map(fromCidrRange);
  const protocols = match.applicationProtocols ?? [];
  const port = match.destinationPort?.value;
  const transport = readTransport(match.transportProtocol ?? "", path, reading);
  return {
    ...(port ? { destinationPort: port } : {}),
    ...(cidrs.length > 0 ? { destinationCidrs: cidrs } : {}),
    ...(serverNames.length > 0 ? { serverNames } : {}),
    // Only TLS has server names.
    ...(transport === undefined || (transport === "tls" && serverNames.length > 0) ? {} : { transport }),
    ...(protocols.length > 0 ? { applicationProtocols: protocols } : {}),
    ...(sources.length > 0 ? { sourceCidrs: sources } : {}),
  };
}

function readTransport(text: string, path: string, reading: Reading): ChainMatch["transport"] {
  if (text === "") return undefined;
  if (text === transports.tls) return "tls";
  if (text === transports.raw) return "raw";
  reading.problem(`${path}.transportProtocol`, `is supported as "tls" and "raw_buffer" only`);
  return undefined;
}

function toCidrRange(text: string): CidrRange {
  const [addressPrefix = "", length] = text.split("/");
  const whole = isIP(addressPrefix) === 6 ? 128 : 32;
  return { addressPrefix, prefixLen: { value: length === undefined ? whole : Number(length) } };
}

function fromCidrRange({ addressPrefix = "", prefixLen }: CidrRange): string {
  const length = prefixLen?.value ?? 0;
  const isWhole = length === (isIP(addressPrefix ?? "") === 6 ? 128 : 32);
  return isWhole ? (addressPrefix ?? "") : `${addressPrefix}/${length}`;
}
