import type { ClientCertificateMode, EdgeSettings } from "../../common/model/edge.ts";
import type { DownstreamConnection } from "../http/exchange.ts";
import type { Layer } from "../http/layer.ts";

type ClientCertificate = NonNullable<DownstreamConnection["clientCertificate"]>;

const header = "x-forwarded-client-cert";

/**
 * What becomes of X-Forwarded-Client-Cert, and what of the client's own certificate goes into it (Envoy's forward_client_cert_details).
 * Without a certificate that was verified here, only `always-forward-only` lets through what somebody else wrote.
 */
export function forwardClientCertificate(
  mode: ClientCertificateMode,
  details: EdgeSettings["clientCertificateDetails"],
): Layer {
  const rendered = new WeakMap<ClientCertificate, string>();
  return (next) => (exchange) => {
    const { clientCertificate, ownSpiffeId } = exchange.downstream;
    const isVerified = clientCertificate !== undefined;
    if (mode !== "always-forward-only" && (!isVerified || mode === "sanitize" || mode === "sanitize-set"))
      exchange.headers.remove(header);
    if (isVerified && (mode === "append-forward" || mode === "sanitize-set")) {
      const own = rendered.get(clientCertificate) ?? elementOf(clientCertificate, ownSpiffeId, details);
      rendered.set(clientCertificate, own);
      const before = exchange.headers.joined(header);
      exchange.headers.set(header, before === undefined ? own : `${before},${own}`);
    }
    return next(exchange);
  };
}

function elementOf(
  certificate: ClientCertificate,
  ownSpiffeId: string | undefined,
  details: EdgeSettings["clientCertificateDetails"],
): string {
  const { hash, uris } = certificate;
  const parts = [
    ...(ownSpiffeId === undefined ? [] : [`By=${ownSpiffeId}`]),
    `Hash=${hash}`,
    ...(details.includes("cert") ? [`Cert="${encodeURIComponent(certificate.pem)}"`] : []),
    ...(details.includes("chain") ? [`Chain="${encodeURIComponent(certificate.chainPem)}"`] : []),
    ...(details.includes("subject") ? [`Subject="${quoted(certificate.subject)}"`] : []),
    ...(uris.length > 0 ? uris.map((uri) => `URI=${plain(uri)}`) : ["URI="]),
    ...(details.includes("dns") ? certificate.dns.map((name) => `DNS=${plain(name)}`) : []),
  ];
  return parts.join(";");
}

/** Inside of quotes; what no header may hold is left out. */
function quoted(text: string): string {
  return printable(text).replaceAll(/["\\]/g, "\\$&");
}

/** Outside of quotes, where `;`, `,` and `=` divide elements: one that holds them is quoted. */
function plain(text: string): string {
  const safe = printable(text);
  return /[;,="]/.test(safe) ? `"${quoted(safe)}"` : safe;
}

function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "");
}
