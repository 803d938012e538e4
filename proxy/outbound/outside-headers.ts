import type { Layer } from "../http/layer.ts";

/**
 * Takes away what only the mesh may say before a client from outside is listened to (field case 44): Envoy's and our own control headers. A private address is no reason for trust (CVE-2024-45806).
 */
export const removeOutsideHeaders: Layer = (next) => (exchange) => {
  const raw = exchange.headers.raw;
  for (let i = raw.length - 2; i >= 0; i -= 2) {
    const name = raw[i]!;
    const first = name.charCodeAt(0);
    if ((first === 0x78 || first === 0x58) && isOurs(name.toLowerCase())) raw.splice(i, 2);
  }
  return next(exchange);
};

function isOurs(name: string): boolean {
  return name.startsWith("x-weft-") || name.startsWith("x-envoy-");
}
