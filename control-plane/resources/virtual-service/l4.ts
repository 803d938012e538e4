import { z } from "zod";
import type { ServiceReference } from "../../../common/model/service.ts";
import type { FieldProblem } from "../field-problem.ts";
import { gatewayNameField, resolveGatewayName } from "../fields/gateway-name.ts";
import { hostField, resolveHost } from "../fields/host.ts";
import { compileLabels, labelsField } from "../fields/labels.ts";
import { dnsLabelField } from "../fields/names.ts";
import { portField, weightField } from "../fields/numbers.ts";
import type { CompiledConnectionRule, ConnectionMatch } from "./compiled.ts";
import { subnetField } from "./subnet.ts";

/** What `tcp` and `tls` matches have in common (Istio's L4MatchAttributes). */
export const connectionMatchFields = {
  destinationSubnets: z
    .array(subnetField)
    .optional()
    .describe("Addresses or CIDRs that the connection was meant for; the longest prefix wins."),
  port: portField.optional().describe("The service's port, or that of the gateway's server."),
  sourceLabels: labelsField.optional().describe("Of the calling workload; says nothing to gateways."),
  sourceNamespace: dnsLabelField("a namespace")
    .optional()
    .describe("Of the calling workload; says nothing to gateways."),
  gateways: z.array(gatewayNameField).optional().describe("Narrows the gateways of the VirtualService."),
} as const;

const connectionMatch = z.strictObject(connectionMatchFields);

export type ConnectionMatchInput = z.infer<typeof connectionMatch>;

export const connectionRoute = z
  .array(
    z.strictObject({
      destination: z.strictObject({
        host: hostField("suffix").describe(
          "A service: its short name in the same namespace, or its full name; a wildcard service sends to the server name asked for.",
        ),
        subset: dnsLabelField("a subset name").optional().describe("A subset of the host's DestinationRule."),
        port: z
          .strictObject({ number: portField })
          .optional()
          .describe("Needed when the service has several ports."),
      }),
      weight: weightField.optional().describe("Share of the sum of all weights."),
    }),
  )
  .min(1);

export type ConnectionRouteInput = z.infer<typeof connectionRoute>;

/** Weights need not sum to 100, but something must be left to choose. */
export function validateConnectionRoute(route: ConnectionRouteInput): FieldProblem[] {
  const [only, ...others] = route;
  const sum = route.reduce((total, { weight = 0 }) => total + weight, 0);
  if (others.length > 0 ? sum > 0 : only?.weight !== 0) return [];
  return [{ path: ["route"], why: "all weights are 0", hint: "give one of them a weight" }];
}

export function compileConnectionMatch(match: ConnectionMatchInput, namespace: string): ConnectionMatch {
  const { destinationSubnets = [], port, sourceLabels, sourceNamespace, gateways = [] } = match;
  return {
    ...(destinationSubnets.length > 0 ? { destinationCidrs: destinationSubnets } : {}),
    scope: {
      ...(sourceLabels ? { sourceLabels: compileLabels(sourceLabels) } : {}),
      ...(sourceNamespace === undefined ? {} : { sourceNamespace }),
      ...(gateways.length > 0
        ? { gateways: gateways.map((name) => resolveGatewayName(name, namespace)) }
        : {}),
      ...(port === undefined ? {} : { port }),
    },
  };
}

/** One destination without a weight gets everything. */
export function compileConnectionRoute(
  route: ConnectionRouteInput,
  namespace: string,
): CompiledConnectionRule["destinations"] {
  const isAlone = route.length === 1;
  return route.map(({ destination: { host, subset, port }, weight }) => {
    const destination: ServiceReference = {
      host: resolveHost(host, namespace),
      ...(subset === undefined ? {} : { subset }),
      ...(port === undefined ? {} : { port: port.number }),
    };
    return { destination, weight: weight ?? (isAlone ? 1 : 0) };
  });
}
