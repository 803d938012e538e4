import { isIP } from "node:net";
import { z } from "zod";
import { exportToField } from "../fields/export-to.ts";
import { hostField } from "../fields/host.ts";
import { labelsField } from "../fields/labels.ts";
import { notYet } from "../fields/not-yet.ts";
import { portField } from "../fields/numbers.ts";
import { protocolField } from "../fields/protocol.ts";
import { portNameField, workloadEndpointField } from "../fields/workload-endpoint.ts";

const addressOrRange = z.string().superRefine((text, context) => {
  const [address = "", bits, ...more] = text.split("/");
  const family = isIP(address);
  const maxBits = family === 6 ? 128 : 32;
  const bitsAreFine = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= maxBits);
  if (family !== 0 && bitsAreFine && more.length === 0) return;
  const params = { hint: "write an IP address, or a range such as 10.0.0.0/24" };
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(text)} is not an IP address or range`,
    params,
  });
});

const resolution = z.string().superRefine((text, context) => {
  if (["NONE", "STATIC", "DNS"].includes(text)) return;
  const isKnown = ["DNS_ROUND_ROBIN", "DYNAMIC_DNS"].includes(text);
  const message = isKnown
    ? `${text} is not supported yet`
    : `${JSON.stringify(text)} is not one of the choices`;
  context.addIssue({ code: "custom", message, params: { hint: "one of NONE, STATIC, DNS" } });
});

const port = z.strictObject({
  number: portField,
  name: portNameField,
  protocol: protocolField
    .optional()
    .describe("Default: what the port's name begins with (http-web), else TCP."),
  targetPort: portField.optional().describe("The port at the endpoints, when it differs."),
});

export const serviceEntrySpec = z.strictObject({
  hosts: z.array(hostField("suffix")).min(1).describe("The names of the service."),
  addresses: z.array(addressOrRange).optional().describe("Virtual addresses."),
  ports: z.array(port).optional(),
  location: z.enum(["MESH_EXTERNAL", "MESH_INTERNAL"]).optional().describe("Default MESH_EXTERNAL."),
  resolution: resolution
    .optional()
    .describe("NONE (default): the caller's address. STATIC: endpoints. DNS: resolve. Others come later."),
  endpoints: z.array(workloadEndpointField).optional(),
  workloadSelector: z.strictObject({ labels: labelsField.optional() }).optional(),
  exportTo: exportToField.optional(),
  subjectAltNames: notYet(),
});

export type ServiceEntrySpec = z.infer<typeof serviceEntrySpec>;
