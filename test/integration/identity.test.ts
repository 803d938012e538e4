import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { systemRandom } from "../../common/base/random.ts";
import { typeUrl } from "../../common/xds/type-url.ts";
import type { ControlPlane } from "../../control-plane/app.ts";
import { startControlPlane } from "../../control-plane/app.ts";
import type { Lifetimes } from "../../control-plane/ca/authority.ts";
import { defaultLifetimes } from "../../control-plane/ca/authority.ts";
import type { ProxyIdentity } from "../../proxy/identity/create-identity.ts";
import { createIdentity } from "../../proxy/identity/create-identity.ts";
import { openGrpcCallWith } from "../../proxy/xds/ads-call.ts";
import { sidecar } from "../support/xds-mesh.ts";

let folder: string;
let controlPlane: ControlPlane;
let said: string[];
const keepers: ProxyIdentity[] = [];
const stops: (() => Promise<void>)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-identity-"));
  said = [];
});
afterEach(async () => {
  for (const { keeper } of keepers.splice(0)) await keeper.stop();
  for (const stop of stops.splice(0)) await stop();
  rmSync(folder, { recursive: true });
});

describe("the certificate service", () => {
  it("gives a workload the certificate of its token's owner, renews it at half its life, and knows it by it", async () => {
    await start({ ...defaultLifetimes, leaf: 4_000 });
    const review = workload("shop", "review", addToken("shop", "review"));
    await review.keeper.start();
    const first = await whenCurrent(review);
    expect(new X509Certificate(first.chain).subjectAltName).toBe(
      "URI:spiffe://cluster.local/ns/shop/sa/review",
    );
    expect(first.roots).toBe(readFileSync(rootsFile(), "utf8"));
    await new Promise<void>((resolve) => review.keeper.subscribe(resolve));
    const second = review.keeper.current!;
    expect(second.privateKey).not.toBe(first.privateKey);
    expect(second.expiresAt).toBeGreaterThan(first.expiresAt);
    // With its certificate it needs no token any more.
    writeFileSync(join(folder, "tokens.json"), "{}");
    await new Promise<void>((resolve) => review.keeper.subscribe(resolve));
    expect(review.keeper.failures).toBe(0);
  });

  it("saves credentials for their owner only, and starts with them while no control plane answers", async () => {
    await start();
    const token = addToken("shop", "review");
    const state = join(folder, "proxy");
    const before = workload("shop", "review", token, state);
    await before.keeper.start();
    const { chain } = await whenCurrent(before);
    await before.keeper.stop();
    expect(statSync(join(state, "identity.json")).mode & 0o777).toBe(0o600);
    await stops.pop()!();
    const after = workload("shop", "review", token, state);
    await after.keeper.start();
    expect(after.keeper.current?.chain).toBe(chain);
    const other = workload("shop", "rating", token, state);
    await other.keeper.start();
    expect(other.keeper.current).toBeUndefined();
  });

  it("gives nothing to who shows no token, an unknown one, or another's, and says so on both sides without the token", async () => {
    await start();
    const token = addToken("shop", "review");
    const unknown = randomBytes(16).toString("hex");
    const stranger = workload("shop", "review", unknown);
    await stranger.keeper.start();
    await expect.poll(() => said).toContainEqual(expect.stringMatching(/UNAUTHENTICATED.*nor a token/));
    const impostor = workload("bank", "till", token);
    await impostor.keeper.start();
    await expect
      .poll(() => said)
      .toContainEqual("the certificate that came is for cluster.local/ns/shop/sa/review");
    expect(stranger.keeper.current ?? impostor.keeper.current).toBeUndefined();
    expect(log.join("\n")).toMatch(
      /no certificate for 127\.0\.0\.1:\d+: neither a valid certificate nor a token/,
    );
    expect([...log, ...said].join("\n")).not.toContain(unknown);
    expect([...log, ...said].join("\n")).not.toContain(token);
  });

  it("does not send its token to who shows no certificate of the root that it was given", async () => {
    await start();
    const review = workload("shop", "review", addToken("shop", "review"));
    const elsewhere = mkdtempSync(join(folder, "other-"));
    const good = readFileSync(rootsFile(), "utf8");
    const { makeRoot } = await import("../../control-plane/ca/certificates.ts");
    const validity = { notBefore: Date.now() - 1_000, notAfter: Date.now() + 60_000 };
    const other = await makeRoot("cluster.local", "other", validity);
    writeFileSync(join(elsewhere, "root.pem"), other.certificate);
    writeFileSync(rootsFile(), other.certificate);
    await review.keeper.start();
    await expect.poll(() => said.join()).toMatch(/certificate|issuer/i);
    expect(log.join()).not.toContain("no certificate for");
    // The repair: the right roots in the file; the next attempt reads them.
    writeFileSync(rootsFile(), good);
    await whenCurrent(review);
  });

  it("case 49: serves xDS over TLS to the node that the caller proved to be, and to no other", async () => {
    await start();
    const review = workload("shop", "review", addToken("shop", "review"));
    const own = { ...sidecar("review-v1"), namespace: "shop", serviceAccount: "review" };
    expect(await firstAnswer(review, own)).toBe(typeUrl.cluster);
    const principal = "cluster.local/ns/shop/sa/review";
    expect(log.join("\n")).not.toContain("refused a caller");
    expect(await firstAnswer(review, { ...own, serviceAccount: "till" })).toMatch(
      `PERMISSION_DENIED: ${principal} is not till of namespace shop`,
    );
    writeFileSync(join(folder, "tokens.json"), "{}");
    expect(await firstAnswer(review, own)).toMatch("UNAUTHENTICATED");
    expect(log.join("\n")).toMatch(
      /refused a caller at 127.0.0.1:\d+: cluster.local\/ns\/shop\/sa\/review is not till/,
    );
  });
});

describe("case 57: an authority whose every certificate has expired", () => {
  it("is replaced at the control plane's next start, and proxies are certified again without being touched", async () => {
    const brief = { root: 3_000, intermediate: 3_000, leaf: 3_000 };
    await start(brief);
    const review = workload("shop", "review", addToken("shop", "review"));
    await review.keeper.start();
    const { roots } = await whenCurrent(review);
    const { port } = controlPlane.secureXds!;
    await stops.pop()!();
    await expect.poll(() => review.keeper.current!.expiresAt < Date.now(), { timeout: 10_000 }).toBe(true);
    await start(defaultLifetimes, port);
    await expect.poll(() => review.keeper.current!.roots, { timeout: 40_000 }).not.toBe(roots);
    expect(review.keeper.current!.expiresAt).toBeGreaterThan(Date.now() + 3_600_000);
    expect(review.keeper.current!.roots).toBe(readFileSync(rootsFile(), "utf8"));
  }, 60_000);
});

const log: string[] = [];

async function start(lifetimes: Lifetimes = defaultLifetimes, port = 0): Promise<void> {
  log.length = 0;
  const write = (message: string) => void log.push(message);
  controlPlane = await startControlPlane(
    {
      config: [],
      xds: { host: "127.0.0.1", port: 0 },
      http: { host: "127.0.0.1", port: 0 },
      secureXds: { host: "127.0.0.1", port },
      identity: {
        trustDomain: "cluster.local",
        trustDomainAliases: [],
        serverNames: [],
        joinTokens: join(folder, "tokens.json"),
        lifetimes,
      },
      state: join(folder, "state"),
      logLevel: "debug",
      logFormat: "text",
      quietMs: 1,
      maxDelayMs: 5,
    },
    { log: { debug: write, info: write, warn: write, error: write } },
  );
  stops.push(() => controlPlane.stop());
}

function rootsFile(): string {
  return join(folder, "state", "ca", "root-cert.pem");
}

const owners: Record<string, { namespace: string; serviceAccount: string }> = {};

function addToken(namespace: string, serviceAccount: string): string {
  const token = `weft-join-${randomBytes(32).toString("base64url")}`;
  for (const sum of Object.keys(owners)) delete owners[sum];
  owners[createHash("sha256").update(token).digest("hex")] = { namespace, serviceAccount };
  writeFileSync(join(folder, "tokens.json"), JSON.stringify(owners));
  return token;
}

function workload(
  namespace: string,
  serviceAccount: string,
  token: string,
  stateDirectory?: string,
): ProxyIdentity {
  const tokenFile = join(mkdtempSync(join(folder, "w-")), "token");
  writeFileSync(tokenFile, `${token}\n`);
  const identity = createIdentity({
    node: { namespace, serviceAccount },
    controlPlane: controlPlane.secureXds!,
    trust: { tokenFile, rootsFile: rootsFile() },
    stateDirectory,
    clock: systemClock,
    random: systemRandom,
    events: { failed: (why) => said.push(why) },
  });
  keepers.push(identity);
  return identity;
}

async function whenCurrent({ keeper }: ProxyIdentity) {
  if (keeper.current === undefined)
    await new Promise<void>((resolve) => {
      const cancel = keeper.subscribe(() => {
        cancel();
        resolve();
      });
    });
  return keeper.current!;
}

/** The first type URL that is answered, or why the stream ended. */
function firstAnswer(identity: ProxyIdentity, node: ReturnType<typeof sidecar>): Promise<string> {
  return new Promise((resolve) => {
    const open = openGrpcCallWith(identity.openChannel);
    const call = open(controlPlane.secureXds!, {
      onResponse: (response) => {
        call.close();
        resolve(response.typeUrl);
      },
      onEnd: resolve,
    });
    call.send({
      typeUrl: typeUrl.cluster,
      subscribe: [],
      unsubscribe: [],
      initialVersions: new Map(),
      responseNonce: "",
      node: { proxy: node, version: "" },
    });
  });
}
