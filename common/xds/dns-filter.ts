import type { DnsDomain, DnsTable } from "../model/dns.ts";
import messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";
import { decodeMessage, fromDuration, packAny, toDuration } from "./wire.ts";

type WireListenerFilter = messages.envoy.config.listener.v3.ListenerFilter;

const { DnsFilterConfig } = messages.envoy.extensions.filters.udp.dns_filter.v3;

export const dnsFilterType = "envoy.extensions.filters.udp.dns_filter.v3.DnsFilterConfig";

/** A listener of DNS questions, as Envoy's UDP filter for them. */
export function toDnsFilter({ domains }: DnsTable): WireListenerFilter {
  return {
    name: "envoy.filters.udp.dns_filter",
    typedConfig: packAny(dnsFilterType, DnsFilterConfig, {
      statPrefix: "dns",
      serverConfig: {
        inlineDnsTable: {
          virtualDomains: domains.map(({ name, addresses, ttlSeconds }) => ({
            name,
            endpoint: { addressList: { address: [...addresses] } },
            answerTtl: toDuration(1000 * ttlSeconds),
          })),
        },
      },
      // Names that are not in the table are asked of the machine's own name servers.
      clientConfig: { maxPendingLookups: 1_024 },
    }),
  };
}

/** Undefined, with the problem noted, when it can't be read. */
export function fromDnsFilter(
  filter: WireListenerFilter,
  path: string,
  reading: Reading,
): DnsTable | undefined {
  const config = decodeMessage(DnsFilterConfig, filter.typedConfig?.value ?? new Uint8Array(), path, reading);
  if (config === undefined) return undefined;
  const table = config.serverConfig?.inlineDnsTable;
  if (!table) {
    reading.problem(`${path}.serverConfig`, "must hold the table itself (inline_dns_table)");
    return undefined;
  }
  const domains = (table.virtualDomains ?? []).flatMap(
    ({ name, endpoint, answerTtl }, index): DnsDomain[] => {
      const addresses = endpoint?.addressList?.address ?? [];
      if (name && addresses.length > 0)
        return [
          {
            name: name.toLowerCase(),
            addresses,
            ttlSeconds: answerTtl ? fromDuration(answerTtl) / 1000 : 300,
          },
        ];
      reading.problem(`${path}.virtualDomains[${index}]`, "needs a name and a list of addresses");
      return [];
    },
  );
  return { domains };
}
