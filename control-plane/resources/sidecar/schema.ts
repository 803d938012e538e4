import { z } from "zod";
import { hostProblem } from "../fields/host.ts";
import { labelsField } from "../fields/labels.ts";
import { isDnsLabel } from "../fields/names.ts";
import { notYet } from "../fields/not-yet.ts";

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

const egress = z.strictObject({
  hosts: z.array(egressHost).min(1).describe("namespace/host: which services the workloads call."),
  port: notYet("the hosts hold for all ports"),
  bind: notYet("the sidecar process says where it listens"),
  captureMode: notYet(),
});

const outboundTrafficPolicy = z.strictObject({
  mode: z
    .enum(["ALLOW_ANY", "REGISTRY_ONLY"])
    .optional()
    .describe("Hosts that no service has: forward, or answer 502. Default REGISTRY_ONLY, as in Istio."),
  egressProxy: notYet("route to the egress gateway by a VirtualService"),
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
  ingress: notYet("the sidecar process says where it listens"),
  inboundConnectionPool: notYet(),
});

export type SidecarSpec = z.infer<typeof sidecarSpec>;
