import { isIP } from "node:net";
import { z } from "zod";

/** An IP address, or a CIDR such as `10.0.0.0/8`. */
export const subnetField: z.ZodString = z.string().superRefine((text, context) => {
  const [address = "", length, ...more] = text.split("/");
  const family = isIP(address);
  const most = family === 6 ? 128 : 32;
  const isLength = length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= most);
  if (family !== 0 && isLength && more.length === 0) return;
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(text)} is neither an IP address nor a CIDR`,
    params: { hint: "write it like 10.1.0.0/16 or 10.1.2.3" },
  });
});
