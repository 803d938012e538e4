import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { readSigningRequest } from "../../control-plane/ca/signing-request.ts";
import { makeKey, signingRequest } from "./signing-request.ts";

it("writes a request that openssl and our authority read and find signed", async () => {
  // Long enough for lengths of more than one octet.
  const spiffeId = `spiffe://cluster.local/ns/${"n".repeat(60)}/sa/${"s".repeat(200)}`;
  for (const id of [spiffeId, "spiffe://a/ns/b/sa/c"]) {
    const request = signingRequest(await makeKey(), id);
    const args = ["req", "-verify", "-noout", "-text"];
    const text = execFileSync("openssl", args, { input: request, stdio: "pipe" }).toString();
    expect(text).toContain(`URI:${id}`);
    expect(text).toMatch(/Subject:\s*\n/);
    expect(text).toContain("ASN1 OID: prime256v1");
    expect(await readSigningRequest(request)).toMatchObject({ ok: true });
  }
});
