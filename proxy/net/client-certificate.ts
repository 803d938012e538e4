import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";

/** A client's certificate that was verified, as X-Forwarded-Client-Cert tells it. */
export interface ClientCertificate {
  /** SHA-256 of the DER form, hexadecimal. */
  readonly hash: string;
  /** RFC 2253: `CN=ui,O=shop`. */
  readonly subject: string;
  readonly uris: readonly string[];
  readonly dns: readonly string[];
  readonly pem: string;
  /** The certificate and those that vouch for it. */
  readonly chainPem: string;
}

/** Undefined when the client showed none, or none that was verified. What is not asked for is not worked out. */
export function clientCertificateOf(socket: TLSSocket): ClientCertificate | undefined {
  const own = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  return own && new Certificate(own);
}

class Certificate implements ClientCertificate {
  readonly #own: X509Certificate;

  constructor(own: X509Certificate) {
    this.#own = own;
  }

  get hash(): string {
    return this.#own.fingerprint256.replaceAll(":", "").toLowerCase();
  }

  get subject(): string {
    // Certificates of workloads have none, and then there is none, whatever the type says.
    const subject: string | undefined = this.#own.subject;
    return subject?.split("\n").reverse().join(",") ?? "";
  }

  get uris(): readonly string[] {
    return this.#names("URI");
  }

  get dns(): readonly string[] {
    return this.#names("DNS");
  }

  get pem(): string {
    return this.#own.toString();
  }

  get chainPem(): string {
    const chain = [this.pem];
    for (
      let at = this.#own.issuerCertificate;
      at !== undefined && chain.length < 10;
      at = at.issuerCertificate
    ) {
      if (chain.includes(at.toString())) break;
      chain.push(at.toString());
    }
    return chain.join("");
  }

  #names(kind: string): readonly string[] {
    const names = (this.#own.subjectAltName ?? "").split(", ");
    return names.flatMap((name) => (name.startsWith(`${kind}:`) ? [name.slice(kind.length + 1)] : []));
  }
}
