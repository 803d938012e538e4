import { z } from "zod";

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** RFC 1123 label, as Kubernetes wants namespaces and Istio wants subsets: ≤ 63 of a-z, 0-9 and `-`. */
export function isDnsLabel(text: string): boolean {
  return label.test(text);
}

/** RFC 1123 subdomain, as Kubernetes wants most names: labels joined by dots, ≤ 253. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && subdomain.test(text);
}

/** A text that must be a DNS label; `noun` says of what, such as "a namespace". */
export function dnsLabelField(noun: string): z.ZodString {
  return z.string().superRefine((text, context) => {
    if (isDnsLabel(text)) return;
    context.addIssue({
      code: "custom",
      message: `${JSON.stringify(text)} is not ${noun}`,
      params: { hint: "up to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit" },
    });
  });
}

/** A text that must be a DNS subdomain, such as an object's name. */
export function dnsSubdomainField(noun: string): z.ZodString {
  return z.string().superRefine((text, context) => {
    if (isDnsSubdomain(text)) return;
    context.addIssue({
      code: "custom",
      message: `${JSON.stringify(text)} is not ${noun}`,
      params: { hint: "up to 253 of a-z, 0-9, - and ., beginning and ending with a letter or digit" },
    });
  });
}
