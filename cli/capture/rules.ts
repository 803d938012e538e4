import type { CaptureSettings, CidrText, PortRange } from "./capture-settings.ts";

/** One line of a packet filter's NAT table, in no tool's words. All conditions must hold. */
export interface CaptureRule {
  readonly chain: Chain;
  readonly protocol?: "tcp" | "udp";
  readonly inInterface?: string;
  readonly outInterface?: string;
  readonly source?: string;
  readonly destination?: string;
  readonly isNotDestination?: string;
  readonly destinationPort?: PortRange;
  readonly isNotDestinationPort?: number;
  readonly owner?: Owner;
  readonly verdict: Verdict;
}

export interface Owner {
  readonly kind: "uid" | "gid";
  readonly id: number;
}

export type Verdict =
  | { readonly kind: "return" }
  | { readonly kind: "jump"; readonly to: OwnChain }
  | { readonly kind: "redirect"; readonly port: number };

export const ownChains = ["WEFT_INBOUND", "WEFT_TO_INBOUND", "WEFT_OUTBOUND", "WEFT_TO_OUTBOUND"] as const;
export type OwnChain = (typeof ownChains)[number];
/** Our chains, and the kernel's that lead to them. */
export type Chain = OwnChain | "PREROUTING" | "OUTPUT";

/** Ports that the sidecar itself answers on: 15008 tunnels, 15020 merged metrics, 15021 health, 15090 its metrics. */
const sidecarPorts = [15_008, 15_020, 15_021, 15_090];
const sshPort = 22;
const leave: Verdict = { kind: "return" };
const toInbound: Verdict = { kind: "jump", to: "WEFT_TO_INBOUND" };
const toOutbound: Verdict = { kind: "jump", to: "WEFT_TO_OUTBOUND" };

/**
 * The rules for one address family, in order. They capture what Istio's do (architecture of `istio-iptables`, REDIRECT mode): inbound
 * TCP to the inbound port; outbound TCP to the outbound port, but for the sidecar's own connections and for what the
 * application says to itself. A connection of the sidecar to its own pod's address is inbound.
 */
export function captureRules(settings: CaptureSettings, family: "ipv4" | "ipv6"): readonly CaptureRule[] {
  return [
    ...inboundRules(settings),
    ...outboundRules(settings, family),
    ...(settings.dnsPort === undefined ? [] : dnsRules(settings, settings.dnsPort)),
  ];
}

function inboundRules(settings: CaptureSettings): CaptureRule[] {
  const { inboundPorts, excludedInboundPorts, virtualInterfaces, excludedInterfaces } = settings;
  const chain = "WEFT_INBOUND";
  const all = inboundPorts === "all";
  const left = all
    ? [...sidecarPorts, sshPort].map(singlePort).concat(excludedInboundPorts)
    : sidecarPorts.map(singlePort);
  return [
    ...excludedInterfaces.map((name): CaptureRule => ({ chain, inInterface: name, verdict: leave })),
    // What a virtual machine sends arrives here, yet it is outbound.
    ...virtualInterfaces.map(
      (name): CaptureRule => ({ chain, inInterface: name, verdict: { kind: "jump", to: "WEFT_OUTBOUND" } }),
    ),
    ...left.map((port): CaptureRule => tcp({ chain, destinationPort: port, verdict: leave })),
    ...(all
      ? [tcp({ chain, verdict: toInbound })]
      : inboundPorts.map((port) => tcp({ chain, destinationPort: port, verdict: toInbound }))),
    tcp({ chain: "WEFT_TO_INBOUND", verdict: { kind: "redirect", port: settings.inboundPort } }),
    tcp({ chain: "PREROUTING", verdict: { kind: "jump", to: chain } }),
  ];
}

function outboundRules(settings: CaptureSettings, family: "ipv4" | "ipv6"): CaptureRule[] {
  const chain = "WEFT_OUTBOUND";
  const { loopback, appSource } = family === "ipv6" ? ipv6Addresses : ipv4Addresses;
  const ofFamily = (cidrs: readonly CidrText[]): readonly string[] =>
    cidrs.filter(({ isIpv6 }) => isIpv6 === (family === "ipv6")).map(({ text }) => text);
  const { outboundCidrs, dnsPort } = settings;
  return [
    ...settings.excludedInterfaces.map(
      (name): CaptureRule => ({ chain, outInterface: name, verdict: leave }),
    ),
    // The inbound side reaches the application from this address; that is no new connection to capture.
    tcp({ chain, source: appSource, outInterface: "lo", verdict: leave }),
    ...settings.excludedOutboundPorts.map((port) => tcp({ chain, destinationPort: port, verdict: leave })),
    // The sidecar was asked for a service of its own pod and calls the pod's address: that has to go by the inbound rules.
    ...owners(settings).map((owner) =>
      tcp({
        chain,
        outInterface: "lo",
        isNotDestination: loopback,
        isNotDestinationPort: 15_008,
        owner,
        verdict: toInbound,
      }),
    ),
    ...owners(settings).map((owner) => tcp({ chain, owner, verdict: leave })),
    // From here on it is the application; what it says to itself is left alone, but for questions to a local name server.
    tcp({
      chain,
      outInterface: "lo",
      ...(dnsPort === undefined ? {} : { isNotDestinationPort: 53 }),
      verdict: leave,
    }),
    ...(dnsPort === undefined
      ? []
      : [tcp({ chain, destinationPort: singlePort(53), verdict: { kind: "redirect", port: dnsPort } })]),
    tcp({ chain, destination: loopback, verdict: leave }),
    ...ofFamily(settings.excludedOutboundCidrs).map((destination) =>
      tcp({ chain, destination, verdict: leave }),
    ),
    ...settings.outboundPorts.map((port) => tcp({ chain, destinationPort: port, verdict: toOutbound })),
    ...(outboundCidrs === "all"
      ? [tcp({ chain, verdict: toOutbound })]
      : ofFamily(outboundCidrs).map((destination) => tcp({ chain, destination, verdict: toOutbound }))),
    tcp({ chain: "WEFT_TO_OUTBOUND", verdict: { kind: "redirect", port: settings.outboundPort } }),
    tcp({ chain: "OUTPUT", verdict: { kind: "jump", to: chain } }),
  ];
}

/** Questions over UDP; those over TCP are among the outbound rules. The sidecar's own go to the name server. */
function dnsRules(settings: CaptureSettings, port: number): CaptureRule[] {
  const question = { chain: "OUTPUT", protocol: "udp", destinationPort: singlePort(53) } as const;
  return [
    ...owners(settings).map((owner): CaptureRule => ({ ...question, owner, verdict: leave })),
    { ...question, verdict: { kind: "redirect", port } },
  ];
}

const ipv4Addresses = { loopback: "127.0.0.1/32", appSource: "127.0.0.6/32" };
const ipv6Addresses = { loopback: "::1/128", appSource: "::1/128" };

function owners({ proxyUids, proxyGids }: CaptureSettings): Owner[] {
  return [
    ...proxyUids.map((id): Owner => ({ kind: "uid", id })),
    ...proxyGids.map((id): Owner => ({ kind: "gid", id })),
  ];
}

function singlePort(port: number): PortRange {
  return { from: port, to: port };
}

function tcp(rule: Omit<CaptureRule, "protocol">): CaptureRule {
  return { protocol: "tcp", ...rule };
}
