import { isIP } from "node:net";
import { z } from "zod";
import { hostProblem } from "../fields/host.ts";
import { labelsField } from "../fields/labels.ts";
import { isDnsLabel } from "../fields/names.ts";
import { notYet } from "../fields/not-yet.ts";
import { portField } from "../fields/numbers.ts";
import { protocolOf } from "../fields/protocol.ts";
import { portNameField } from "../fields/workload-endpoint.ts";
import { serverTlsField } from "./tls.ts";

const serverHost = z.string().superRefine((text, context) => {
  const slash = text.indexOf("/");
  const namespace = slash === -1 ? "*" : text.slice(0, slash);
  if (namespace !== "*" && namespace !== "." && !isDnsLabel(namespace)) {
    const params = { hint: "write namespace/host, ./host or */host" };
    context.addIssue({ code: "custom", message: `${JSON.stringify(namespace)} is not a namespace`, params });
  }
  const wrong = hostProblem(text.slice(slash + 1), "any");
  if (wrong) context.addIssue({ code: "custom", message: wrong.why, params: { hint: wrong.hint } });
});

/** What the bytes of MONGO, MYSQL and REDIS mean is not looked at: they are TCP. */
const serverProtocols = ["http", "https", "tls", "tcp", "mongo", "mysql", "redis"];

const serverProtocol = z.string().superRefine((text, context) => {
  if (serverProtocols.includes(protocolOf(text) ?? "")) return;
  const known = protocolOf(text) !== undefined || text.toUpperCase() === "HTTP3";
  const message = known ? `${text} is not supported yet` : `${JSON.stringify(text)} is not a protocol`;
  const hint = `one of ${serverProtocols.map((name) => name.toUpperCase()).join(", ")}`;
  context.addIssue({ code: "custom", message, params: { hint } });
});

const server = z.strictObject({
  port: z.strictObject({
    number: portField,
    name: portNameField,
    protocol: serverProtocol,
    targetPort: notYet("Istio gives it no effect either"),
  }),
  hosts: z.array(serverHost).min(1).describe("namespace/host: which VirtualServices may bind."),
  name: z.string().optional().describe("For people: nothing goes by it. No two servers have the same."),
  tls: serverTlsField.optional(),
  bind: z
    .string()
    .superRefine((text, context) => {
      if (isIP(text) !== 0) return;
      const params = { hint: "give an IP address of the gateway, such as 10.0.0.7" };
      context.addIssue({ code: "custom", message: `${JSON.stringify(text)} is not an IP address`, params });
    })
    .optional()
    .describe(
      "Where the gateway listens, unless it was started with --bind for the port. Default: everywhere.",
    ),
  defaultEndpoint: notYet("Istio gives it no effect either"),
});

export const gatewaySpec = z.strictObject({
  selector: labelsField.optional().describe("Gateways that carry all these labels open the servers."),
  servers: z.array(server).min(1),
});

export type GatewaySpec = z.infer<typeof gatewaySpec>;
