import { describe, expect, it } from "vitest";
import type { CaptureOptions } from "./capture-settings.ts";
import { readCaptureSettings } from "./capture-settings.ts";
import { defaultCaptureOptions } from "./testdata/default-options.ts";

const read = (changed: Partial<CaptureOptions>) =>
  readCaptureSettings({ ...defaultCaptureOptions, ...changed });

describe("readCaptureSettings", () => {
  it("captures everything but the sidecar's own when nothing is said", () => {
    expect(read({})).toEqual({
      ok: true,
      value: {
        outboundPort: 15_001,
        inboundPort: 15_006,
        proxyUids: [1337],
        proxyGids: [1337],
        inboundPorts: "all",
        excludedInboundPorts: [],
        outboundCidrs: "all",
        excludedOutboundCidrs: [],
        outboundPorts: [],
        excludedOutboundPorts: [],
        excludedInterfaces: [],
        virtualInterfaces: [],
        dnsPort: undefined,
        ipv6: true,
      },
    });
  });

  it("reads lists, ranges and addresses of both families", () => {
    const settings = read({
      inboundPorts: "80, 8000-8099",
      outboundCidrs: "10.0.0.0/8,fd00::/8,192.0.2.7",
      outboundPorts: "",
      dns: true,
    });
    expect(settings).toMatchObject({
      value: {
        inboundPorts: [
          { from: 80, to: 80 },
          { from: 8000, to: 8099 },
        ],
        outboundCidrs: [
          { text: "10.0.0.0/8", isIpv6: false },
          { text: "fd00::/8", isIpv6: true },
          { text: "192.0.2.7", isIpv6: false },
        ],
        dnsPort: 15_053,
      },
    });
  });

  it.each<[Partial<CaptureOptions>, string, string]>([
    [{ outboundPort: "0" }, "--outbound-port", "no port"],
    [{ excludeInboundPorts: "80;reboot" }, "--exclude-inbound-ports", "no port or range"],
    [{ outboundPorts: "90-80" }, "--outbound-ports", "ends before it begins"],
    [{ proxyUid: "weft" }, "--proxy-uid", "no numeric id"],
    [{ proxyGid: "4294967295" }, "--proxy-gid", "no numeric id"],
    [{ outboundCidrs: "10.0.0.0/33" }, "--outbound-cidrs", "no address or CIDR"],
    [{ excludeOutboundCidrs: "10.0.0.0/8\n-A OUTPUT" }, "--exclude-outbound-cidrs", "no address or CIDR"],
    [{ excludeInterfaces: "eth0 -j ACCEPT" }, "--exclude-interfaces", "no name of a network interface"],
    [{ virtualInterfaces: 'a"b' }, "--virtual-interfaces", "no name of a network interface"],
    [{ dns: true, dnsPort: "dns" }, "--dns-port", "no port"],
    [{ proxyUid: "", proxyGid: "" }, "--proxy-uid", "come back to it for ever"],
    [{ inboundPort: "15001" }, "--inbound-port", "is the outbound port too"],
  ])("case 58: refuses %j", (changed, path, why) => {
    expect(read(changed)).toMatchObject({
      ok: false,
      problems: [{ path, why: expect.stringContaining(why) as string }],
    });
  });

  it("names all that is wrong at once", () => {
    const result = read({ inboundPorts: "a,b", proxyUid: "c" });
    expect(result.ok ? [] : result.problems).toHaveLength(3);
  });
});
