import { execFileSync } from "node:child_process";
import { createPublicKey, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import type { Lifetimes } from "./authority.ts";
import { CertificateAuthority, defaultLifetimes } from "./authority.ts";
import { createAuthorityFolder } from "./authority-folder.ts";

let folder: string;
let clock: FakeClock;
let said: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-ca-"));
  clock = new FakeClock(Math.floor(Date.now() / 1000) * 1000);
  said = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const reviews = { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "reviews" };
const spiffeId = "spiffe://cluster.local/ns/shop/sa/reviews";
const hour = 3_600_000;

describe("the certificate authority", () => {
  it("signs an SVID that openssl verifies against root-cert.pem", async () => {
    const authority = await open();
    const { chain, roots } = await issued(authority, requestOf("prime256v1"));
    expect(roots).toHaveLength(1);
    expect(readFileSync(join(folder, "root-cert.pem"), "utf8")).toBe(roots.join(""));
    expect(opensslVerify(chain, roots)).toContain("leaf.pem: OK");
    const leaf = new X509Certificate(chain[0]!);
    expect(leaf.subjectAltName).toBe(`URI:${spiffeId}`);
    expect(leaf.ca).toBe(false);
    expect(leaf.subject).toBeUndefined();
    expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    const text = execFileSync("openssl", ["x509", "-noout", "-text"], { input: chain[0]! }).toString();
    expect(text).toMatch(/Subject Alternative Name: critical/);
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature/);
    expect(leaf.validToDate.getTime() - clock.now()).toBeLessThanOrEqual(24 * hour);
    expect(leaf.validFromDate.getTime()).toBeLessThan(clock.now());
  });

  it("keeps its keys from everybody else and is the same authority after a restart", async () => {
    const before = await open();
    expect(statSync(join(folder, "authority.json")).mode & 0o777).toBe(0o600);
    expect((await open()).roots).toEqual(before.roots);
  });

  it("does not replace an authority that it can't read, and quotes nothing of it", async () => {
    await open();
    const text = readFileSync(join(folder, "authority.json"), "utf8");
    writeFileSync(join(folder, "authority.json"), text.slice(0, -20));
    const failure = await open().catch((error: Error) => error.message);
    expect(failure).toMatch(/authority\.json is damaged; put a copy back/);
    expect(failure).not.toContain("PRIVATE");
  });

  it("gives no more time than was asked for, and never more than a day", async () => {
    const authority = await open();
    const request = requestOf("prime256v1");
    const second = (ms: number) => Math.floor(ms / 1000);
    expect(second((await issued(authority, request, hour)).expiresAt)).toBe(second(clock.now() + hour));
    expect(second((await issued(authority, request, 1_000 * hour)).expiresAt)).toBe(
      second(clock.now() + 24 * hour),
    );
  });

  it("takes the name from the proven identity and not from the request", async () => {
    const authority = await open();
    const request = requestOf("prime256v1", [
      "-addext",
      "subjectAltName=URI:spiffe://cluster.local/ns/bank/sa/till",
    ]);
    const { chain } = await issued(authority, request);
    expect(new X509Certificate(chain[0]!).subjectAltName).toBe(`URI:${spiffeId}`);
  });

  it.each([["prime256v1"], ["secp384r1"], ["rsa:2048"]])("certifies a key of type %s", async (type) => {
    const request = requestOf(type);
    const { chain, roots } = await issued(await open(), request);
    expect(opensslVerify(chain, roots)).toContain("OK");
    const wanted = execFileSync("openssl", ["req", "-noout", "-pubkey"], { input: request });
    const same = createPublicKey(wanted).equals(new X509Certificate(chain[0]!).publicKey);
    expect(same).toBe(true);
  });

  it.each([
    ["rsa:1024", [], /RSA key of 1024 bits; 2,048 are the least/],
    ["secp256k1", [], /curve secp256k1/],
    ["secp521r1", [], /curve secp521r1/],
    ["ed25519", [], /key of type ed25519/],
    ["prime256v1", ["-sha1"], /signed with SHA-1/],
  ])("refuses a request with %s %j", async (type, args, why) => {
    const refused = await (await open()).issue(requestOf(type, args), reviews, 0);
    expect(refused).toEqual({ ok: false, why: expect.stringMatching(why) });
  });

  it("refuses what is no request, what is too long, and one that another key signed", async () => {
    const authority = await open();
    const [one, other] = [requestOf("prime256v1"), requestOf("prime256v1")];
    const der = (pem: string) => Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64");
    const forged = Buffer.from(der(one));
    const keyOf = (pem: string) => {
      const spki = execFileSync("openssl", ["req", "-noout", "-pubkey"], { input: pem });
      return createPublicKey(spki).export({ type: "spki", format: "der" });
    };
    keyOf(other).copy(forged, forged.indexOf(keyOf(one)));
    const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${forged.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    const reasons = [];
    for (const request of ["", "hello", `${one}${"x".repeat(9_000)}`, pem, one.replaceAll(/[A-Z]/g, "A")]) {
      const answer = await authority.issue(request, reviews, 0);
      reasons.push(answer.ok ? "accepted" : answer.why);
    }
    expect(reasons.map((why) => why.split(":")[0])).toEqual([
      "is no CERTIFICATE REQUEST in PEM",
      "is no CERTIFICATE REQUEST in PEM",
      "is longer than 8192 octets",
      "is not signed with its own key",
      "is no CERTIFICATE REQUEST in PEM",
    ]);
  });

  it("makes its own certificate for the names of its port", async () => {
    const own = await (await open()).issueOwn({
      identity: { ...reviews, serviceAccount: "weft" },
      dns: ["localhost"],
      addresses: ["127.0.0.1", "::1"],
    });
    const leaf = new X509Certificate(own.chain[0]!);
    expect([leaf.checkHost("localhost"), leaf.checkIP("127.0.0.1"), leaf.checkIP("::1")]).not.toContain(
      undefined,
    );
    expect(opensslVerify(own.chain, own.roots)).toContain("OK");
  });
});

describe("a root's rotation", () => {
  it("trusts the new root, then signs with it, then trusts the old one no more, an SVID's lifetime apart", async () => {
    const authority = await open();
    const request = requestOf("prime256v1");
    const [old] = authority.roots;
    await authority.rotateRoot();
    const waiting = await issued(authority, request);
    expect(waiting.roots).toHaveLength(2);
    expect(waiting.roots.at(-1)).toBe(old);
    expect(opensslVerify(waiting.chain, [old!])).toContain("OK");
    await expect(authority.rotateRoot()).rejects.toThrow("under way");

    await forward(authority, 12 * hour);
    const early = await issued(authority, request);
    await forward(authority, 12 * hour);
    const signing = await issued(authority, request);
    const fresh = signing.roots.at(-1)!;
    expect(signing.roots).toEqual([old, fresh]);
    expect(opensslVerify(signing.chain, [fresh])).toContain("OK");
    expect(() => opensslVerify(signing.chain, [old!])).toThrow();
    expect(opensslVerify(early.chain, signing.roots)).toContain("OK");
    expect((await open()).roots).toEqual(authority.roots);

    await forward(authority, 24 * hour);
    expect(authority.roots).toEqual([fresh]);
    expect(said).toEqual([
      "a new root is trusted from now on; it signs later",
      "the new root signs from now on; the old one stays trusted for a while",
      "the old root is trusted no more",
    ]);
  });

  it("begins by itself when the root grows old, and ends before the root does", async () => {
    const lifetimes = { root: 100 * hour, intermediate: 50 * hour, leaf: hour };
    const authority = await open(lifetimes);
    const [first] = authority.roots;
    const seen = new Set<string>();
    for (let at = 0; at < 100; at++) {
      await forward(authority, hour);
      for (const root of authority.roots) seen.add(root);
      const { chain, roots, expiresAt } = await issued(authority, requestOf("prime256v1"));
      expect(new X509Certificate(chain[0]!).checkIssued(new X509Certificate(chain[1]!))).toBe(true);
      expect(expiresAt).toBe(clock.now() + hour);
      const root = new X509Certificate(roots.at(-1)!);
      expect(new X509Certificate(chain[1]!).verify(root.publicKey)).toBe(true);
    }
    expect(seen.size).toBe(2);
    expect(authority.roots).not.toContain(first);
  });

  it("makes a new intermediate below the same root in good time", async () => {
    const authority = await open({ root: 1_000 * hour, intermediate: 30 * hour, leaf: hour });
    const [root] = authority.roots;
    const before = authority.generations[0]!.intermediate.certificate;
    await forward(authority, 21 * hour);
    expect(authority.generations[0]!.intermediate.certificate).not.toBe(before);
    expect(authority.roots).toEqual([root]);
    expect((await open()).generations[0]!.intermediate.certificate).toBe(
      authority.generations[0]!.intermediate.certificate,
    );
  });

  it("replaces at once, also at a start, what has expired altogether", async () => {
    const lifetimes = { root: 100 * hour, intermediate: 50 * hour, leaf: hour };
    const [old] = (await open(lifetimes)).roots;
    await clock.advance(200 * hour);
    const authority = await open(lifetimes);
    expect(authority.roots).toHaveLength(1);
    expect(authority.roots).not.toContain(old);
    expect((await issued(authority, requestOf("prime256v1"))).expiresAt).toBe(clock.now() + hour);
    expect(readFileSync(join(folder, "root-cert.pem"), "utf8")).toBe(authority.roots.join(""));
  });
});

async function open(lifetimes: Lifetimes = defaultLifetimes): Promise<CertificateAuthority> {
  return CertificateAuthority.open({
    trustDomain: "cluster.local",
    lifetimes,
    clock,
    folder: createAuthorityFolder(folder),
    events: { changed: () => {}, said: (_level, text) => said.push(text) },
  });
}

async function forward(authority: CertificateAuthority, ms: number): Promise<void> {
  await clock.advance(ms);
  await authority.care();
}

async function issued(authority: CertificateAuthority, request: string, wantedMs = 0) {
  const answer = await authority.issue(request, reviews, wantedMs);
  if (!answer.ok) throw new Error(answer.why);
  return answer.issued;
}

/** Openssl's own request, for a curve, `rsa:BITS` or ed25519. */
function requestOf(type: string, args: readonly string[] = []): string {
  const key = type.startsWith("rsa:")
    ? ["-newkey", type]
    : type === "ed25519"
      ? ["-newkey", "ed25519"]
      : ["-newkey", "ec", "-pkeyopt", `ec_paramgen_curve:${type}`];
  const all = ["req", "-new", ...key, "-nodes", "-keyout", "/dev/null", "-subj", "/O=x", ...args];
  return execFileSync("openssl", all, { stdio: ["ignore", "pipe", "ignore"] }).toString();
}

function opensslVerify([leaf, ...between]: readonly string[], roots: readonly string[]): string {
  writeFileSync(join(folder, "leaf.pem"), leaf!);
  writeFileSync(join(folder, "between.pem"), between.join(""));
  writeFileSync(join(folder, "roots.pem"), roots.join(""));
  const files = ["-CAfile", "roots.pem", "-untrusted", "between.pem", "leaf.pem"];
  const at = ["-attime", String(Math.ceil(clock.now() / 1000))];
  const args = ["verify", "-x509_strict", "-purpose", "sslserver", ...at, ...files];
  return execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] }).toString();
}
