import { isIP } from "node:net";
import { z } from "zod";
import { hostField, hostProblem } from "../fields/host.ts";
import { labelsField } from "../fields/labels.ts";
import { dnsLabelField, isDnsLabel } from "../fields/names.ts";
import { notYet } from "../fields/not-yet.ts";
import { portField } from "../fields/numbers.ts";
import { protocolOf } from "../fields/protocol.ts";
import { portNameField } from "../fields/workload-endpoint.ts";

const egressHost = z.string().superRefine((text, context) => {
  const refuse = (message: string, hint: string) =>
    context.addIssue({ code: "custom", message, params: { hint } });
  const slash = text.indexOf("/");
  if (slash === -1) {
    refuse(`${JSON.stringify(text)} names no namespace`, `write namespace/host, such as */${text}`);
    return;
  }
  const namespace = text.slice(0, slash);
  const host = text.slice(slash + 1);
  if (!["*", ".", "~"].includes(namespace) && !isDnsLabel(namespace)) {
    refuse(`${JSON.stringify(namespace)} is not a namespace`, "write namespace/host, ./host, */host or ~/*");
  }
  if (namespace === "~" && host !== "*") refuse('"~" (nothing) takes no host', 'write "~/*"');
  const wrong = hostProblem(host, "any");
  if (wrong) refuse(wrong.why, wrong.hint);
});

const listenerProtocol = z.string().superRefine((text, context) => {
  const protocol = protocolOf(text);
  if (protocol !== undefined && protocol !== "udp") return;
  const params = { hint: "one of HTTP, HTTP2, GRPC, HTTPS, TLS, TCP, MYSQL, MONGO, REDIS" };
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(text)} is not a protocol of a listener`,
    params,
  });
});

const listenerPort = z.strictObject({
  number: portField,
  protocol: listenerProtocol,
  name: portNameField.optional(),
  targetPort: notYet("Istio gives it no effect either"),
});

const bind = z.string().superRefine((text, context) => {
  if (isIP(text) !== 0) return;
  const isUnix = text.startsWith("unix://");
  const params = { hint: "give an IP address, such as 127.0.0.1" };
  const message = isUnix
    ? "unix sockets are not supported yet"
    : `${JSON.stringify(text)} is not an IP address`;
  context.addIssue({ code: "custom", message, params });
});

const captureMode = z
  .enum(["DEFAULT", "IPTABLES", "NONE"])
  .describe(
    "IPTABLES: connections come redirected, and no port is opened. NONE: the port is opened. DEFAULT: as the sidecar's other connections come.",
  );

const egress = z.strictObject({
  hosts: z.array(egressHost).min(1).describe("namespace/host: which services the workloads call."),
  port: listenerPort
    .optional()
    .describe(
      "A listener of its own, for the hosts' services on this port. Absent, on the last only: all other ports.",
    ),
  bind: bind.optional().describe("Where the listener is. Default: 127.0.0.1 where the port is opened."),
  captureMode: captureMode.optional(),
});

const defaultEndpoint = z.string().superRefine((text, context) => {
  const port = /^(?:127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]):(\d{1,5})$/.exec(text)?.[1];
  if (port !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return;
  const isUnix = text.startsWith("unix://");
  context.addIssue({
    code: "custom",
    message: isUnix
      ? "unix sockets are not supported yet"
      : `${JSON.stringify(text)} is no port of the workload`,
    params: { hint: "write 127.0.0.1:PORT, or 0.0.0.0:PORT for the workload's own address" },
  });
});

const ingress = z.strictObject({
  port: listenerPort,
  bind: bind.optional().describe("Where the listener is. Default: where the sidecar's inbound side is."),
  captureMode: captureMode.optional(),
  defaultEndpoint: defaultEndpoint
    .optional()
    .describe("Where the workload takes what comes in. Default: the same port on 127.0.0.1."),
  tls: notYet("inbound TLS between sidecars is made by the mesh itself"),
  connectionPool: notYet(),
});

const outboundTrafficPolicy = z.strictObject({
  mode: z
    .enum(["ALLOW_ANY", "REGISTRY_ONLY"])
    .optional()
    .describe("Hosts that no service has: forward, or answer 502. Default REGISTRY_ONLY, as in Istio."),
  egressProxy: z
    .strictObject({
      host: hostField("none"),
      subset: dnsLabelField("a subset name").optional(),
      port: z.strictObject({ number: portField }),
    })
    .optional()
    .describe("A service that takes what no service has, in place of the address itself; with ALLOW_ANY."),
});

export const sidecarSpec = z.strictObject({
  workloadSelector: z
    .strictObject({ labels: labelsField.optional() })
    .optional()
    .describe(
      "Workloads of the namespace that carry all these labels. Absent: all without a Sidecar of their own.",
    ),
  egress: z.array(egress).optional().describe("Absent: everything that is exported to the namespace."),
  outboundTrafficPolicy: outboundTrafficPolicy
    .optional()
    .describe("Absent: what the control plane was told."),
  ingress: z
    .array(ingress)
    .optional()
    .describe("Listeners for what comes in, besides the one that the sidecar was started with."),
  inboundConnectionPool: notYet(),
});

export type SidecarSpec = z.infer<typeof sidecarSpec>;
