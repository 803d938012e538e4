import { z } from "zod";
import { workloadSelectorField } from "../fields/selector.ts";

const mutualTls = z.strictObject({
  mode: z
    .enum(["UNSET", "DISABLE", "PERMISSIVE", "STRICT"])
    .optional()
    .describe(
      "STRICT: callers prove who they are by mutual TLS. PERMISSIVE: they may. DISABLE: plain text. UNSET (default): as the more general policy says, at last PERMISSIVE.",
    ),
});

const portKey = z.string().superRefine((key, context) => {
  if (/^[1-9]\d{0,4}$/.test(key) && Number(key) <= 65_535) return;
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(key)} is not a port: it must be from 1 to 65535`,
  });
});

/** Istio's PeerAuthentication. */
export const peerAuthenticationSpec = z.strictObject({
  selector: workloadSelectorField
    .optional()
    .describe(
      "The workloads of this namespace that it holds for. Without it: the whole namespace, in the root namespace the whole mesh.",
    ),
  mtls: mutualTls.optional().describe("For all ports."),
  portLevelMtls: z
    .record(portKey, mutualTls)
    .optional()
    .describe("For single ports of the workload, by number; needs a selector."),
});

export type PeerAuthenticationSpec = z.infer<typeof peerAuthenticationSpec>;
export type MutualTlsInput = z.infer<typeof mutualTls>;
