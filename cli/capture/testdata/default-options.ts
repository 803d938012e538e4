import type { CaptureOptions } from "../capture-settings.ts";

/** What `weft capture` reads when no option is given. */
export const defaultCaptureOptions: CaptureOptions = {
  outboundPort: "15001",
  inboundPort: "15006",
  proxyUid: "1337",
  proxyGid: "1337",
  inboundPorts: "*",
  excludeInboundPorts: "",
  outboundCidrs: "*",
  excludeOutboundCidrs: "",
  outboundPorts: "",
  excludeOutboundPorts: "",
  excludeInterfaces: "",
  virtualInterfaces: "",
  dns: false,
  dnsPort: "15053",
  ipv6: true,
};
