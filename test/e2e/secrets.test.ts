import { createHash, X509Certificate } from "node:crypto";
import { globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { exportJWK, exportPKCS8, generateKeyPair, SignJWT } from "jose";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { certificateService } from "../../common/xds/certificate-service.ts";
import type { RunningMesh } from "../support/mesh.ts";
import { runWeft, startMesh } from "../support/mesh.ts";

/** Everything that a running mesh says or keeps, searched for what must be nobody's but its owner's. */
const outside = mkdtempSync(join(tmpdir(), "weft-secrets-"));
const httpToken = "http-token-that-nobody-may-read-0123456789abcdef";
const tokenFile = join(outside, "http-token");
let mesh: RunningMesh;

beforeAll(async () => {
  writeFileSync(tokenFile, `${httpToken}\n`, { mode: 0o600 });
  mesh = await startMesh("examples/hello/mesh.yaml", {
    env: { WEFT_HTTP_TOKEN_FILE: tokenFile, WEFT_LOG_LEVEL: "debug" },
  });
});
afterAll(async () => {
  await mesh?.stop();
  rmSync(outside, { recursive: true, force: true });
});

function stateFiles(): string[] {
  return globSync("**/*", { cwd: mesh.folder, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
}

/** What is secret in a text: the lines of PEM keys without their frames, however the line ends are written. */
function keysIn(text: string): string[] {
  return [...text.matchAll(/-----BEGIN (?:EC |RSA )?PRIVATE KEY-----(.+?)-----END/gs)].map(([, body]) =>
    body!.replaceAll(/\\n|\s/g, "").slice(40, 100),
  );
}

async function get(url: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await request(url, { headers });
  return `${response.statusCode} ${JSON.stringify(response.headers)} ${await response.body.text()}`;
}

describe("a running mesh", () => {
  it("keeps keys, tokens and JWTs out of its logs, dumps, answers and errors, and on its disk for its owner only", async () => {
    const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: "k", alg: "RS256" };
    const sign = (issuer: string) =>
      new SignJWT({ groups: ["staff"] })
        .setProtectedHeader({ alg: "RS256", kid: "k" })
        .setIssuer(issuer)
        .setSubject("alice")
        .setIssuedAt()
        .setExpirationTime("1h")
        .sign(privateKey);
    const good = await sign("https://issuer.example");
    const foreign = await sign("https://nobody.example");
    const spoilt = `${good.slice(0, -12)}AAAAAAAAAAAA`;
    const policy = join(outside, "tokens.yaml");
    writeFileSync(
      policy,
      `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens, namespace: default }
spec:
  jwtRules:
    - { issuer: "https://issuer.example", forwardOriginalToken: false, jwks: '${JSON.stringify({ keys: [jwk] })}' }
`,
    );
    const said: string[] = [];
    const note = (what: unknown) => void said.push(typeof what === "string" ? what : JSON.stringify(what));
    const applied = await mesh.weft("apply", "--wait", "-f", policy);
    expect(applied.code, applied.stdout + applied.stderr).toBe(0);
    note(applied);

    // Tokens that are right, wrong and broken, and what is answered to them.
    const statuses: string[] = [];
    for (const token of [good, foreign, spoilt, "not.a.token"]) {
      const answer = await get(`${mesh.gatewayUrl}/x`, { authorization: `Bearer ${token}` });
      statuses.push(answer.slice(0, 3));
      note(answer);
    }
    expect(statuses).toEqual(["200", "401", "401", "401"]);

    // Everything that answers.
    const { controlPlane, gateways, sidecars } = mesh.info();
    const http = { authorization: `Bearer ${httpToken}` };
    const paths = ["resources", "proxies?runs=true", "snapshot", "problems", "metrics", "ready", "nowhere"];
    for (const path of paths) {
      note(await get(`${controlPlane.http}/${path}`, http));
      note(await get(`${controlPlane.http}/${path}`, { authorization: `Bearer ${httpToken}x` }));
    }
    const pages = [
      "config_dump",
      "clusters?format=json",
      "clusters",
      "certs",
      "stats",
      "limits",
      "breakers",
      "logging",
      "help",
      "x",
    ];
    for (const { admin } of [...gateways, ...sidecars])
      for (const page of pages) note(await get(`${admin}/${page}`));
    for (const args of [["status"], ["status", "-o", "json"], ["get", "-o", "yaml"], ["get", "nothing/x"]])
      note(await mesh.weft(...args));
    note(await runWeft(["get", "--control-plane", new URL(controlPlane.http).host, "--token-file", policy]));

    // Errors of the certificate service: a token that nobody knows, and a request that is none.
    const files = stateFiles();
    const joinTokens = files
      .filter((file) => file.endsWith(".token"))
      .map((file) => readFileSync(file, "utf8").trim());
    expect(joinTokens.length).toBe(3);
    const roots = readFileSync(join(mesh.folder, "control-plane", "ca", "root-cert.pem"));
    const client = new Client(
      controlPlane.secureXds!,
      credentials.createSsl(roots, null, null, { checkServerIdentity: () => undefined }),
      {
        "grpc.ssl_target_name_override": "control-plane",
      },
    );
    const { path, requestSerialize, responseDeserialize } = certificateService.CreateCertificate;
    for (const token of [joinTokens[0]!, `${joinTokens[1]!}x`]) {
      const metadata = new Metadata();
      metadata.set("authorization", `Bearer ${token}`);
      const why = await new Promise((resolve) =>
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          {
            csr: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            validityMs: 0,
          } as never,
          metadata,
          (error) => resolve(error?.message ?? "no error"),
        ),
      );
      expect(why).toMatch(/UNAUTHENTICATED|INVALID_ARGUMENT/);
      note(why);
    }
    client.close();

    // The secrets themselves, as they lie on the owner's disk.
    const texts = new Map(files.map((file) => [file, readFileSync(file, "utf8")]));
    const keys = [...new Set([...texts.values()].flatMap(keysIn))];
    expect(keys.length).toBeGreaterThanOrEqual(5);
    const jwts = [good, foreign, spoilt].map((token) => token.split(".")[2]!);
    const own = keysIn(await exportPKCS8(privateKey));
    const secrets = [...keys, ...own, ...joinTokens, ...jwts, httpToken];
    const spoken = [...said, mesh.log()].join("\n");
    expect(spoken.length).toBeGreaterThan(50_000);
    const joined = spoken.replaceAll(/\\n|\s/g, "");
    for (const secret of secrets) {
      const at = joined.indexOf(secret);
      expect(at < 0 ? "" : joined.slice(Math.max(0, at - 200), at)).toBe("");
    }
    expect(spoken).not.toMatch(/PRIVATE KEY/);

    // On disk: each where it belongs, and only its owner reads it.
    const leaks = [...texts].filter(([file, text]) => {
      const isKeeper = /authority\.json$|identity\.json$|\.token$/.test(file);
      const flat = text.replaceAll(/\\n|\s/g, "");
      return !isKeeper && secrets.some((secret) => flat.includes(secret));
    });
    expect(leaks.map(([file]) => file)).toEqual([]);
    const open = files
      .filter((file) =>
        /authority\.json$|identity\.json$|last-good\.json$|tokens\/|proxies\.json$|resources\//.test(file),
      )
      .filter((file) => (statSync(file).mode & 0o077) !== 0);
    expect(open).toEqual([]);
    expect(statSync(mesh.folder).mode & 0o077).toBe(0);
    expect(files.filter((file) => file.endsWith("last-good.json")).length).toBe(4);

    // What the control plane keeps of join tokens is a sum.
    const owners = readFileSync(join(mesh.folder, "tokens", "owners.json"), "utf8");
    expect(owners).toContain(createHash("sha256").update(joinTokens[0]!).digest("hex"));
    const chain = files
      .filter((file) => file.endsWith("identity.json"))
      .map((file) => JSON.parse(texts.get(file)!) as { chain: string });
    for (const { chain: pem } of chain) expect(new X509Certificate(pem).ca).toBe(false);
  }, 120_000);
});
