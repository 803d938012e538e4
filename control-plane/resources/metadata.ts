import { z } from "zod";
import { labelsField } from "./fields/labels.ts";
import { dnsLabelField, dnsSubdomainField } from "./fields/names.ts";

/** What the API server adds to metadata; read back from `kubectl get -o yaml`, of no meaning here. */
const serverFields = {
  uid: z.unknown().optional(),
  resourceVersion: z.unknown().optional(),
  generation: z.unknown().optional(),
  creationTimestamp: z.unknown().optional(),
  deletionTimestamp: z.unknown().optional(),
  deletionGracePeriodSeconds: z.unknown().optional(),
  selfLink: z.unknown().optional(),
  managedFields: z.unknown().optional(),
  finalizers: z.unknown().optional(),
  ownerReferences: z.unknown().optional(),
};

/** The frame that every object has. `status` is the control plane's own word, so it is not read. */
export const objectFrame = z.strictObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.strictObject({
    name: dnsSubdomainField("a name"),
    namespace: dnsLabelField("a namespace").optional(),
    labels: labelsField.optional(),
    annotations: z.record(z.string(), z.string()).optional(),
    ...serverFields,
  }),
  spec: z.unknown().optional(),
  status: z.unknown().optional(),
});

export type ObjectFrame = z.infer<typeof objectFrame>;

/** The namespace of an object that names none. */
export const defaultNamespace = "default";
