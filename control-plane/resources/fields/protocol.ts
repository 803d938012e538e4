import { z } from "zod";
import { closestName } from "../../../common/base/closest.ts";
import type { ServiceProtocol } from "../../../common/model/service.ts";

/** Istio's names, in any case. */
export const protocols: readonly ServiceProtocol[] = [
  "http",
  "https",
  "http2",
  "grpc",
  "grpc-web",
  "tls",
  "tcp",
  "mongo",
  "redis",
  "mysql",
  "udp",
];

export const protocolField: z.ZodString = z.string().superRefine((text, context) => {
  if (protocolOf(text) !== undefined) return;
  const names = protocols.map((protocol) => protocol.toUpperCase());
  const closest = closestName(text, names);
  const hint = closest ? `did you mean ${closest}?` : `one of ${names.join(", ")}`;
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(text)} is not a protocol`,
    params: { hint },
  });
});

export function protocolOf(text: string): ServiceProtocol | undefined {
  return protocols.find((protocol) => protocol === text.toLowerCase());
}

/** Istio's rule for names of ports: `http`, `http-web`, `grpc-web-x`; the longest protocol that fits. */
export function protocolOfPortName(name: string): ServiceProtocol | undefined {
  const lower = name.toLowerCase();
  const fitting = protocols.filter((protocol) => lower === protocol || lower.startsWith(`${protocol}-`));
  return fitting.toSorted((one, other) => other.length - one.length)[0];
}
