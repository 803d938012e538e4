import type { AddressInfo, Server } from "node:net";
import { createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import type { KeyedCertificate, LeafNames } from "../../control-plane/ca/certificates.ts";
import { makeIntermediate, makeLeaf, makeLeafKey, makeRoot } from "../../control-plane/ca/certificates.ts";
import type { MeshError } from "../errors.ts";
import type { Credentials, IdentitySource } from "./identity-source.ts";
import { peerOf } from "./mesh-tls.ts";
import { TlsClient } from "./tls-client.ts";
import { TlsServer } from "./tls-server.ts";

const hour = 3_600_000;
const now = Date.now();
const validity = { notBefore: now - hour, notAfter: now + hour };
const review = { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "review" };
const product = { ...review, serviceAccount: "product" };
const root = await makeRoot("cluster.local", "root", validity);

/** An identity that a test can change. */
class Identity implements IdentitySource {
  readonly #subscribers = new Set<() => void>();
  current: Credentials;

  constructor(current: Credentials) {
    this.current = current;
  }

  subscribe(changed: () => void): () => void {
    this.#subscribers.add(changed);
    return () => this.#subscribers.delete(changed);
  }

  change(current: Credentials): void {
    this.current = current;
    for (const changed of this.#subscribers) changed();
  }
}

const open: { listener: Server; server: TlsServer }[] = [];
afterEach(() => {
  for (const { listener, server } of open.splice(0)) {
    server.stop();
    listener.close();
  }
});

describe("the mesh's TLS", () => {
  it("tells both sides who is at the other end, and resumes", async () => {
    const server = await serve(new Identity(await certified(review)));
    const client = new TlsClient(systemClock, new Identity(await certified(product)));
    const seen: unknown[] = [];
    for (let i = 0; i < 3; i++) seen.push(await connect(client, server.port));
    const principal = "cluster.local/ns/shop/sa/review";
    expect(seen).toEqual([principal, principal, principal]);
    expect(server.peers).toEqual(Array(3).fill("cluster.local/ns/shop/sa/product"));
    expect(client.counts).toMatchObject({ full: 1, resumed: 2, failed: 0 });
  });

  it("goes on with new certificates, whose first handshake is a full one", async () => {
    const [mine, theirs] = [new Identity(await certified(product)), new Identity(await certified(review))];
    const server = await serve(theirs);
    const client = new TlsClient(systemClock, mine);
    await connect(client, server.port);
    theirs.change(await certified(review));
    mine.change(await certified(product));
    await expect.poll(() => connect(client, server.port)).toBe("cluster.local/ns/shop/sa/review");
    expect(client.counts.resumed).toBe(0);
  });

  it("lets nobody resume whose root is trusted no more", async () => {
    const theirs = new Identity(await certified(review));
    const server = await serve(theirs);
    const client = new TlsClient(systemClock, new Identity(await certified(product)));
    await connect(client, server.port);
    const next = await makeRoot("cluster.local", "next", validity);
    theirs.change({ ...(await certified(review)), roots: next.certificate });
    await expect.poll(() => connect(client, server.port)).toMatch(/closed/);
    expect(server.refused.at(-1)).toMatch(/not trusted: (SELF_SIGNED|UNABLE_TO|unable)/i);
  });

  it("needs a certificate, at the server and at the client", async () => {
    const server = await serve(new Identity(await certified(review)));
    expect(await connect(new TlsClient(systemClock), server.port)).toMatch(/tls_files/);
    const late = await serve(new Identity({ ...(await certified(review)), expiresAt: now - 1 }));
    expect(late.problems).toEqual(["this workload's certificate has expired"]);
  });
});

describe.each([
  ["of another root", { by: "other" }, /SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(GET|VERIFY)/i],
  [
    "that has expired",
    { validity: { notBefore: now - hour, notAfter: now - 1_000 } },
    /CERT_HAS_EXPIRED|has expired/,
  ],
  ["of another trust domain", { trustDomain: "evil.example" }, /evil\.example/],
  ["with two URI names", { uris: 2 }, /has 2 URI names/],
  ["without a SPIFFE ID", { uris: 0 }, /has no URI name/],
  [
    "with CA:TRUE",
    { isAuthority: true },
    /is an authority's|INVALID_PURPOSE|INVALID_CA|KEYUSAGE|unsuitable/i,
  ],
] as const)("a certificate %s", (_title, flaw, why) => {
  it("case 42: is refused by servers, who tell why", async () => {
    const server = await serve(new Identity(await certified(review)));
    const client = new TlsClient(systemClock, new Identity(await certified(product, flaw)));
    expect(await connect(client, server.port)).toMatch(/closed|tls_/);
    await expect.poll(() => server.refused).toContainEqual(expect.stringMatching(why));
    expect(server.peers).toEqual([]);
  });

  it("case 42: is refused by clients, who tell why", async () => {
    const server = await serve(new Identity(await certified(review, flaw)));
    const client = new TlsClient(systemClock, new Identity(await certified(product)));
    expect(await connect(client, server.port)).toMatch(why);
    expect(client.counts.failed).toBe(1);
  });
});

interface Flaw {
  readonly by?: "other";
  readonly validity?: { readonly notBefore: number; readonly notAfter: number };
  readonly trustDomain?: string;
  readonly uris?: 0 | 2;
  readonly isAuthority?: true;
}

async function certified(identity: LeafNames["identity"], flaw: Flaw = {}): Promise<Credentials> {
  const signer = flaw.by === "other" ? await makeRoot("cluster.local", "other", validity) : root;
  const authority = await makeIntermediate("cluster.local", "intermediate", validity, signer);
  const { leaf, privateKey } = await leafOf(
    { ...identity, ...(flaw.trustDomain && { trustDomain: flaw.trustDomain }) },
    flaw,
    authority,
  );
  const chain = leaf + authority.certificate;
  return { chain, privateKey, roots: root.certificate, expiresAt: now + hour };
}

async function leafOf(identity: LeafNames["identity"], flaw: Flaw, authority: KeyedCertificate) {
  const { publicKey, privateKey } = await makeLeafKey();
  const times = flaw.validity ?? validity;
  if (flaw.uris === undefined && !flaw.isAuthority)
    return { leaf: await makeLeaf(publicKey, { identity }, times, authority), privateKey };
  // What no authority of ours would sign.
  const x509 = await import("@peculiar/x509");
  const { createPrivateKey } = await import("node:crypto");
  const der = createPrivateKey(authority.privateKey).export({ type: "pkcs8", format: "der" });
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const uri = `spiffe://${identity.trustDomain}/ns/shop/sa/${identity.serviceAccount}`;
  const names: { type: "dns" | "url"; value: string }[] =
    flaw.uris === 0 ? [{ type: "dns", value: "a" }] : [{ type: "url", value: uri }];
  if (flaw.uris === 2) names.push({ type: "url", value: `${uri}-too` });
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: "4242",
    notBefore: new Date(times.notBefore),
    notAfter: new Date(times.notAfter),
    issuer: new x509.X509Certificate(authority.certificate).subject,
    publicKey,
    signingKey: await crypto.subtle.importKey("pkcs8", new Uint8Array(der), algorithm, false, ["sign"]),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(flaw.isAuthority ?? false, undefined, true),
      new x509.SubjectAlternativeNameExtension(names, true),
    ],
  });
  return { leaf: `${certificate.toString("pem")}\n`, privateKey };
}

async function serve(identity: Identity) {
  const refused: string[] = [];
  const problems: string[] = [];
  const peers: (string | undefined)[] = [];
  const server = new TlsServer(
    { identity: { trustDomains: ["cluster.local"] }, cipherSuites: [] },
    {
      clock: systemClock,
      refreshMs: hour,
      handshakeTimeoutMs: 5_000,
      protocols: ["http/1.1"],
      identity,
      onProblem: (why) => problems.push(why),
      onRefused: (why) => refused.push(why),
      onSecured: (_raw, socket) => {
        peers.push(peerOf(socket)?.principal);
        socket.on("error", () => {});
        socket.on("data", (bytes: Buffer) => socket.write(bytes));
        socket.on("end", () => socket.end());
      },
    },
  );
  await server.refresh();
  const listener = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    server.accept(socket);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  open.push({ listener, server });
  return { port: (listener.address() as AddressInfo).port, refused, problems, peers };
}

/** Who answered an echo, or why nobody did. */
async function connect(client: TlsClient, port: number): Promise<string> {
  const names = ["spiffe://cluster.local/ns/shop/sa/review"];
  const tls = { identity: true as const, sni: "review", subjectAltNames: names, insecureSkipVerify: false };
  try {
    const socket = await client.connect({ host: "127.0.0.1", port, timeoutMs: 5_000 }, tls, "review");
    return await new Promise((resolve) => {
      socket.on("error", (error) => resolve(`closed: ${error.message}`));
      socket.on("end", () => resolve("closed"));
      socket.on("close", () => resolve("closed"));
      socket.once("data", () => {
        resolve(peerOf(socket)!.principal);
        socket.destroy();
      });
      socket.write("hello");
    });
  } catch (error) {
    const { detail, cause } = error as MeshError;
    const { code = "", message = "" } = (cause ?? {}) as NodeJS.ErrnoException;
    return `${detail} ${code} ${message}`;
  }
}
