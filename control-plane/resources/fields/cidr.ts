import { z } from "zod";
import { Cidr } from "../../../common/routing/cidr.ts";

/** An IP address or a block of them. */
export const cidrField = z.string().superRefine((text, context) => {
  if (Cidr.parse(text) !== undefined) return;
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(text)} is not an IP address or CIDR`,
    params: { hint: "write it like 10.1.2.3 or 10.0.0.0/8" },
  });
});
