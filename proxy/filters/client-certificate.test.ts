import { describe, expect, it } from "vitest";
import type { ClientCertificateMode } from "../../common/model/edge.ts";
import { clientCertificateModes } from "../../common/model/edge.ts";
import { plainExchange } from "../../test/support/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import { forwardClientCertificate } from "./client-certificate.ts";

const certificate = {
  hash: "ab12",
  subject: 'CN="u;i",O=shop',
  uris: ["spiffe://cluster.local/ns/shop/sa/ui"],
  dns: ["ui.example", "a,b"],
  pem: "-----BEGIN-----\n",
  chainPem: "-----BEGIN-----\n-----BEGIN-----\n",
};

function sent(
  mode: ClientCertificateMode,
  isVerified: boolean,
  details: ("subject" | "cert" | "dns")[] = [],
): string | undefined {
  const { downstream } = plainExchange();
  const exchange = plainExchange({
    downstream: { ...downstream, ...(isVerified ? { clientCertificate: certificate } : {}) },
    headers: new HeaderList(["X-Forwarded-Client-Cert", "By=forged"]),
  });
  let seen: string | undefined;
  void forwardClientCertificate(
    mode,
    details,
  )((passed) => {
    seen = passed.headers.joined("x-forwarded-client-cert");
    return Promise.reject(new Error("enough"));
  })(exchange).catch(() => {});
  return seen;
}

describe("X-Forwarded-Client-Cert", () => {
  const own = "Hash=ab12;URI=spiffe://cluster.local/ns/shop/sa/ui";
  const rows: Readonly<
    Record<ClientCertificateMode, readonly [verified: string | undefined, not: string | undefined]>
  > = {
    sanitize: [undefined, undefined],
    "forward-only": ["By=forged", undefined],
    "append-forward": [`By=forged,${own}`, undefined],
    "sanitize-set": [own, undefined],
    "always-forward-only": ["By=forged", "By=forged"],
  };

  it.each(clientCertificateModes)("in the mode %s", (mode) => {
    expect([sent(mode, true), sent(mode, false)]).toEqual(rows[mode]);
  });

  it("tells what it is asked for, and lets no part of a certificate end it", () => {
    expect(sent("sanitize-set", true, ["subject", "dns", "cert"])).toBe(
      'Hash=ab12;Cert="-----BEGIN-----%0A";Subject="CN=\\"u;i\\",O=shop";URI=spiffe://cluster.local/ns/shop/sa/ui;DNS=ui.example;DNS="a,b"',
    );
  });
});
