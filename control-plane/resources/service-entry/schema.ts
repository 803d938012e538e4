import { isIP } from "node:net";
import { z } from "zod";
import { exportToField } from "../fields/export-to.ts";
import { hostField } from "../fields/host.ts";
import { labelsField } from "../fields/labels.ts";
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

const resolution = z.enum(["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"]);

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
    .describe(
      "NONE (default): the caller's address. STATIC: endpoints. DNS: all addresses of the endpoints' names, or of the hosts. DNS_ROUND_ROBIN: of one name the first address for each new connection; those that are open stay. DYNAMIC_DNS: for wildcard hosts, the name that a request asks for.",
    ),
  endpoints: z.array(workloadEndpointField).optional(),
  workloadSelector: z.strictObject({ labels: labelsField.optional() }).optional(),
  exportTo: exportToField.optional(),
  subjectAltNames: z
    .array(z.string().min(1))
    .optional()
    .describe(
      "Names or SPIFFE IDs for one of which the service's certificate must be, where a DestinationRule says that TLS is spoken and names none itself.",
    ),
});

export type ServiceEntrySpec = z.infer<typeof serviceEntrySpec>;
