import { z } from "zod";
import type { Labels } from "../../../common/model/endpoint.ts";
import { isDnsSubdomain } from "./names.ts";

const namePart = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

const labelKey = z.string().superRefine((key, context) => {
  const slash = key.lastIndexOf("/");
  const prefixIsFine = slash === -1 || isDnsSubdomain(key.slice(0, slash));
  if (prefixIsFine && namePart.test(key.slice(slash + 1))) return;
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(key)} is not a label key`,
    params: { hint: "a name of up to 63 letters, digits, -, _ and ., with an optional dns prefix and /" },
  });
});

const labelValue = z.string().superRefine((value, context) => {
  if (value === "" || namePart.test(value)) return;
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(value)} is not a label value`,
    params: { hint: "up to 63 letters, digits, -, _ and ., beginning and ending with a letter or digit" },
  });
});

/** Kubernetes labels, by their syntax. */
export const labelsField = z.record(labelKey, labelValue);

/** A copy that nobody can change, in which `constructor` and the like are keys as any other. */
export function compileLabels(labels: Readonly<Record<string, string>> | undefined): Labels {
  return Object.freeze(Object.fromEntries(Object.entries(labels ?? {})));
}
