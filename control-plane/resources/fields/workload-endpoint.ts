import { isIP } from "node:net";
import { z } from "zod";
import type { Labels, Locality } from "../../../common/model/endpoint.ts";
import type { ServiceEndpoint } from "../../../common/model/service.ts";
import { hostProblem } from "./host.ts";
import { compileLabels, labelsField } from "./labels.ts";
import { isDnsLabel } from "./names.ts";
import { notYet } from "./not-yet.ts";
import { integerField, portField } from "./numbers.ts";

/** A port's name: in Istio it may have upper-case letters. */
export const portNameField: z.ZodString = z.string().superRefine((name, context) => {
  if (isDnsLabel(name.toLowerCase())) return;
  const params = { hint: "up to 63 letters, digits and -" };
  context.addIssue({ code: "custom", message: `${JSON.stringify(name)} is not a port name`, params });
});

const address = z.string().superRefine((text, context) => {
  const refuse = (message: string, hint: string) =>
    context.addIssue({ code: "custom", message, params: { hint } });
  if (text.startsWith("unix://"))
    refuse("unix sockets are not supported yet", "give an IP address or a host name");
  else if (isIP(text) === 0 && hostProblem(text, "none")) {
    refuse(
      `${JSON.stringify(text)} is neither an IP address nor a host name`,
      "an address is written without a port",
    );
  }
});

const locality = z.string().superRefine((text, context) => {
  if (text.split("/").length <= 3) return;
  const params = { hint: "write region/zone/subzone" };
  context.addIssue({ code: "custom", message: `${JSON.stringify(text)} has more than three parts`, params });
});

/** Istio's WorkloadEntry: a spec of its own, and one item of a ServiceEntry's endpoints. */
export const workloadEndpointField = z.strictObject({
  address: address.optional().describe("An IP address, or a host name where the service is resolved by DNS."),
  ports: z
    .record(portNameField, portField)
    .optional()
    .describe("By port name, where they differ from the service's."),
  labels: labelsField.optional(),
  network: notYet("all endpoints must be reachable directly"),
  locality: locality.optional().describe("region/zone/subzone"),
  weight: integerField("a weight", 0, 4_294_967_295)
    .optional()
    .describe("Share of requests; 0 and absent count as 1."),
  serviceAccount: z.string().optional(),
});

export type WorkloadEndpointInput = z.infer<typeof workloadEndpointField>;

/** The workload behind an endpoint: `name` is used where its labels give none. */
export function compileWorkloadEndpoint(
  input: WorkloadEndpointInput,
  namespace: string,
  name: string,
  labels: Labels,
): ServiceEndpoint {
  const [region = "", zone = "", subzone = ""] = (input.locality ?? "").split("/");
  const parsed: Locality = { region, zone, subzone };
  return {
    address: (input.address ?? "").toLowerCase(),
    ports: new Map(Object.entries(input.ports ?? {})),
    weight: input.weight || 1,
    workload: { name, namespace, serviceAccount: input.serviceAccount ?? "", labels },
    ...(input.locality ? { locality: parsed } : {}),
  };
}

/** Labels of the spec, over those of the object's metadata (Istio's order for a WorkloadEntry). */
export function mergeLabels(below: Labels, above: Readonly<Record<string, string>> | undefined): Labels {
  return compileLabels({ ...below, ...above });
}
