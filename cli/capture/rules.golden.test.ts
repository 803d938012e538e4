import { describe, expect, it } from "vitest";
import { captureCommand } from "../capture.ts";
import type { CaptureOptions } from "./capture-settings.ts";
import { readCaptureSettings } from "./capture-settings.ts";
import { iptablesLine, iptablesScript } from "./iptables.ts";
import { nftablesScript } from "./nftables.ts";
import { captureRules } from "./rules.ts";
import { defaultCaptureOptions } from "./testdata/default-options.ts";

const cases: Record<string, Partial<CaptureOptions>> = {
  default: {},
  "every-option": {
    outboundPort: "16001",
    inboundPort: "16006",
    proxyUid: "1337,1338",
    proxyGid: "",
    excludeInboundPorts: "9100,9200-9299",
    outboundCidrs: "10.0.0.0/8,fd00::/8",
    excludeOutboundCidrs: "10.1.2.3,fd00::7",
    outboundPorts: "3306",
    excludeOutboundPorts: "5432",
    excludeInterfaces: "eth1",
    virtualInterfaces: "vm0",
    dns: true,
    dnsPort: "16053",
  },
  "few-inbound-ports": { inboundPorts: "8080,9000-9009", outboundCidrs: "" },
};

function rulesOf(options: Partial<CaptureOptions>, family: "ipv4" | "ipv6") {
  const settings = readCaptureSettings({ ...defaultCaptureOptions, ...options });
  if (!settings.ok) throw new Error("the case is wrong");
  return captureRules(settings.value, family);
}

describe("captureRules", () => {
  it.each(Object.entries(cases))("writes %s for iptables and for nftables", async (name, options) => {
    const ipv4 = rulesOf(options, "ipv4");
    const ipv6 = rulesOf(options, "ipv6");
    const iptables = ["# iptables", ...ipv4.map(iptablesLine), "# ip6tables", ...ipv6.map(iptablesLine)];
    await expect(`${iptables.join("\n")}\n`).toMatchFileSnapshot(`testdata/${name}.iptables`);
    const nftables = nftablesScript(
      new Map([
        ["ip", ipv4],
        ["ip6", ipv6],
      ]),
      ["ip", "ip6"],
    );
    await expect(nftables).toMatchFileSnapshot(`testdata/${name}.nft`);
  });

  it("has the command's defaults as its own", () => {
    const command = captureCommand().action(() => {});
    const { remove, dryRun, ...defaults } = command
      .parse([], { from: "user" })
      .opts<Record<string, unknown>>();
    expect({ remove, dryRun }).toEqual({ remove: false, dryRun: false });
    expect(defaults).toEqual(defaultCaptureOptions);
  });
});

describe("iptablesScript", () => {
  const others = "-A OUTPUT -p tcp -j KUBE-SERVICES";
  const before = [
    "*nat",
    ":OUTPUT ACCEPT [0:0]",
    ":KUBE-SERVICES - [0:0]",
    ":WEFT_INBOUND - [0:0]",
    ":WEFT_TO_INBOUND - [0:0]",
    others,
    "-A OUTPUT -p tcp -m comment --comment weft-capture -j WEFT_OUTBOUND",
    "-A WEFT_INBOUND -p tcp -j WEFT_TO_INBOUND",
    "COMMIT",
  ].join("\n");

  it("takes the earlier rules' place, and leaves others' alone", () => {
    const script = iptablesScript(rulesOf({}, "ipv4"), before);
    expect(script).toContain("\n-D OUTPUT -p tcp -m comment --comment weft-capture -j WEFT_OUTBOUND\n");
    expect(script).not.toContain("KUBE");
    expect(script.match(/^-A OUTPUT /gm)).toHaveLength(1);
  });

  it("takes away just what stands", () => {
    expect(iptablesScript([], before)).toBe(
      [
        "*nat",
        ":WEFT_INBOUND - [0:0]",
        ":WEFT_TO_INBOUND - [0:0]",
        "-D OUTPUT -p tcp -m comment --comment weft-capture -j WEFT_OUTBOUND",
        "-X WEFT_INBOUND",
        "-X WEFT_TO_INBOUND",
        "COMMIT",
        "",
      ].join("\n"),
    );
    expect(iptablesScript([], "")).toBe("*nat\nCOMMIT\n");
  });
});
