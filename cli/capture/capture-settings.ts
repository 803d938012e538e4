import type { Problem } from "../../common/base/problem.ts";
import type { Result } from "../../common/base/result.ts";
import { failed, ok } from "../../common/base/result.ts";
import { Cidr, parseAddress } from "../../common/routing/cidr.ts";

/** Which connections of a pod or host go through its sidecar; the names in brackets are Istio's annotations of the same meaning. */
export interface CaptureSettings {
  /** Where redirected outbound connections go. */
  readonly outboundPort: number;
  /** Where redirected inbound connections go. */
  readonly inboundPort: number;
  /** The sidecar's own users and groups: what they send is left alone. */
  readonly proxyUids: readonly number[];
  readonly proxyGids: readonly number[];
  /** "all" or ports [includeInboundPorts]; none: nothing inbound is captured. */
  readonly inboundPorts: "all" | readonly PortRange[];
  /** [excludeInboundPorts], only with inbound "all". */
  readonly excludedInboundPorts: readonly PortRange[];
  /** "all" or destinations [includeOutboundIPRanges]. */
  readonly outboundCidrs: "all" | readonly CidrText[];
  /** [excludeOutboundIPRanges] */
  readonly excludedOutboundCidrs: readonly CidrText[];
  /** Captured whatever the destination is [includeOutboundPorts]. */
  readonly outboundPorts: readonly PortRange[];
  /** [excludeOutboundPorts] */
  readonly excludedOutboundPorts: readonly PortRange[];
  /** Interfaces whose traffic is left alone [excludeInterfaces]. */
  readonly excludedInterfaces: readonly string[];
  /** Interfaces of virtual machines: what comes in there is outbound [kubevirtInterfaces]. */
  readonly virtualInterfaces: readonly string[];
  /** Port that DNS questions go to; undefined: DNS is left alone. */
  readonly dnsPort: number | undefined;
  /** Also IPv6. */
  readonly ipv6: boolean;
}

/** First and last port, both included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** An address or CIDR that is valid, and its family. */
export interface CidrText {
  readonly text: string;
  readonly isIpv6: boolean;
}

/** As they come from the command line. */
export interface CaptureOptions {
  readonly outboundPort: string;
  readonly inboundPort: string;
  readonly proxyUid: string;
  readonly proxyGid: string;
  readonly inboundPorts: string;
  readonly excludeInboundPorts: string;
  readonly outboundCidrs: string;
  readonly excludeOutboundCidrs: string;
  readonly outboundPorts: string;
  readonly excludeOutboundPorts: string;
  readonly excludeInterfaces: string;
  readonly virtualInterfaces: string;
  readonly dns: boolean;
  readonly dnsPort: string;
  readonly ipv6: boolean;
}

/** Checks all options; a problem's path is the option that it is about. */
export function readCaptureSettings(options: CaptureOptions): Result<CaptureSettings> {
  const problems: Problem[] = [];
  const list = <T>(option: string, text: string, read: (item: string) => T | string): T[] =>
    items(text).flatMap((item) => {
      const value = read(item);
      if (typeof value !== "string") return [value];
      problems.push({ path: option, why: `"${item}" is ${value}` });
      return [];
    });
  const one = (option: string, text: string, read: (item: string) => number | string): number => {
    const value = read(text.trim());
    if (typeof value === "number") return value;
    problems.push({ path: option, why: `"${text}" is ${value}` });
    return 0;
  };
  const names = (option: string, text: string): string[] =>
    items(text).filter((name) => {
      // What Linux takes as an interface's name (15 characters, no slash, no space), and nothing that a rule could read as more.
      if (/^[A-Za-z0-9_.@-]{1,15}$/.test(name) && !name.startsWith("-")) return true;
      problems.push({ path: option, why: `"${name}" is no name of a network interface` });
      return false;
    });

  const settings: CaptureSettings = {
    outboundPort: one("--outbound-port", options.outboundPort, readPort),
    inboundPort: one("--inbound-port", options.inboundPort, readPort),
    proxyUids: list("--proxy-uid", options.proxyUid, readId),
    proxyGids: list("--proxy-gid", options.proxyGid, readId),
    inboundPorts: isAll(options.inboundPorts)
      ? "all"
      : list("--inbound-ports", options.inboundPorts, readPortRange),
    excludedInboundPorts: list("--exclude-inbound-ports", options.excludeInboundPorts, readPortRange),
    outboundCidrs: isAll(options.outboundCidrs)
      ? "all"
      : list("--outbound-cidrs", options.outboundCidrs, readCidr),
    excludedOutboundCidrs: list("--exclude-outbound-cidrs", options.excludeOutboundCidrs, readCidr),
    outboundPorts: list("--outbound-ports", options.outboundPorts, readPortRange),
    excludedOutboundPorts: list("--exclude-outbound-ports", options.excludeOutboundPorts, readPortRange),
    excludedInterfaces: names("--exclude-interfaces", options.excludeInterfaces),
    virtualInterfaces: names("--virtual-interfaces", options.virtualInterfaces),
    dnsPort: options.dns ? one("--dns-port", options.dnsPort, readPort) : undefined,
    ipv6: options.ipv6,
  };
  if (settings.proxyUids.length === 0 && settings.proxyGids.length === 0 && problems.length === 0) {
    problems.push({
      path: "--proxy-uid",
      why: "neither a user nor a group of the sidecar is named, so what it sends would come back to it for ever",
      hint: "run the sidecar as a user of its own and name it",
    });
  }
  if (settings.outboundPort === settings.inboundPort && problems.length === 0) {
    problems.push({ path: "--inbound-port", why: `${settings.inboundPort} is the outbound port too` });
  }
  return problems.length > 0 ? failed(problems) : ok(settings);
}

function items(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function isAll(text: string): boolean {
  return text.trim() === "*";
}

function readPort(text: string): number | string {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port >= 1 && port <= 65_535 ? port : "no port (1 to 65535)";
}

function readPortRange(text: string): PortRange | string {
  const [first = "", last = first, ...rest] = text.split(/[-:]/);
  const from = readPort(first);
  const to = readPort(last);
  if (rest.length > 0 || typeof from === "string" || typeof to === "string")
    return "no port or range of ports (8080, 8000-8099)";
  return from <= to ? { from, to } : "a range that ends before it begins";
}

function readId(text: string): number | string {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return id <= 4_294_967_294 ? id : "no numeric id of a user or group";
}

function readCidr(text: string): CidrText | string {
  if (Cidr.parse(text) === undefined) return "no address or CIDR (10.0.0.0/8)";
  return { text, isIpv6: !parseAddress(text.replace(/\/.*$/, ""))!.isV4 };
}
