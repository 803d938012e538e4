import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { CertificateAuthority, defaultLifetimes } from "./authority.ts";
import { createAuthorityFolder } from "./authority-folder.ts";
import { readPluggedIn } from "./plugged-in.ts";

let folder: string;
const clock = new FakeClock(Date.now());
const reviews = { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "reviews" };

/** An organisation's own: root → division → mesh, made by openssl, with EC and with RSA keys. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-plugged-"));
  for (const [name, type] of [
    ["ec", ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]],
    ["rsa", ["rsa:2048"]],
  ] as const) {
    execFileSync("mkdir", ["-p", join(folder, name)]);
    const make = (file: string, subject: string, issuer: string | undefined) =>
      openssl(name, [
        ...["req", "-x509", "-newkey", ...type, "-nodes", "-days", "2", "-subj", `/O=Acme/CN=${subject}`],
        ...["-keyout", `${file}-key.pem`, "-out", `${file}-cert.pem`],
        ...["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
        ...(issuer === undefined ? [] : ["-CA", `${issuer}-cert.pem`, "-CAkey", `${issuer}-key.pem`]),
      ]);
    make("root", "Acme root", undefined);
    make("division", "Acme division", "root");
    make("ca", "Acme mesh", "division");
    openssl(name, ["verify", "-CAfile", "root-cert.pem", "-untrusted", "division-cert.pem", "ca-cert.pem"]);
    writeFileSync(
      join(folder, name, "cert-chain.pem"),
      read(name, "ca-cert.pem") + read(name, "division-cert.pem"),
    );
    writeFileSync(
      join(folder, name, "above.pem"),
      read(name, "division-cert.pem") + read(name, "root-cert.pem"),
    );
    writeFileSync(join(folder, name, "password"), "correct horse\n");
    openssl(name, [
      ...["pkcs12", "-export", "-in", "ca-cert.pem", "-inkey", "ca-key.pem", "-certfile", "above.pem"],
      ...["-passout", "pass:correct horse", "-out", "ca.p12"],
    ]);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(["ec", "rsa"])("an authority of %s keys that was plugged in", (type) => {
  it.each(["folder", "archive"])(
    "signs SVIDs that openssl verifies against its root, from a %s",
    async (kind) => {
      const pluggedIn = await readPluggedIn(
        kind === "folder"
          ? { path: join(folder, type) }
          : { path: join(folder, type, "ca.p12"), passwordFile: join(folder, type, "password") },
        clock.now(),
      );
      const authority = await CertificateAuthority.open({
        trustDomain: "cluster.local",
        lifetimes: defaultLifetimes,
        clock,
        folder: createAuthorityFolder(join(folder, "state")),
        pluggedIn,
        events: { changed: () => {}, said: () => {} },
      });
      const request = openssl(type, [
        ...["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
        ...["-nodes", "-keyout", "/dev/null", "-subj", "/O=x"],
      ]);
      const answer = await authority.issue(request, reviews, 0);
      if (!answer.ok) throw new Error(answer.why);
      const { chain, roots } = answer.issued;
      expect(chain).toHaveLength(3);
      writeFileSync(join(folder, type, "leaf.pem"), chain[0]!);
      writeFileSync(join(folder, type, "between.pem"), chain.slice(1).join(""));
      writeFileSync(join(folder, type, "trusted.pem"), roots.join(""));
      const args = ["verify", "-CAfile", "trusted.pem", "-untrusted", "between.pem", "leaf.pem"];
      expect(openssl(type, args)).toBe("leaf.pem: OK\n");
      await expect(authority.rotateRoot()).rejects.toThrow("was plugged in");
    },
  );
});

describe("what can't be plugged in", () => {
  const failure = (place: Parameters<typeof readPluggedIn>[0], now = clock.now()) =>
    readPluggedIn(place, now).then(
      () => "it was taken",
      (error: Error) => error.message,
    );
  const folderWith = (files: Readonly<Record<string, string>>): string => {
    const path = mkdtempSync(join(folder, "case-"));
    for (const [name, from] of Object.entries(files)) writeFileSync(join(path, name), read("ec", from));
    return path;
  };

  it("is told with its file and the reason", async () => {
    const whole = {
      "ca-cert.pem": "ca-cert.pem",
      "ca-key.pem": "ca-key.pem",
      "root-cert.pem": "root-cert.pem",
    };
    expect(await failure({ path: join(folder, "nowhere") })).toMatch(/nowhere: ENOENT/);
    expect(await failure({ path: folderWith({ "ca-cert.pem": "ca-cert.pem" }) })).toMatch(
      /(key|root-cert)\.pem: ENOENT/,
    );
    expect(await failure({ path: folderWith({ ...whole, "ca-key.pem": "root-key.pem" }) })).toMatch(
      /its key is not its certificate's/,
    );
    expect(await failure({ path: folderWith({ ...whole, "ca-key.pem": "password" }) })).toMatch(
      /its key can't be read/,
    );
    expect(await failure({ path: folderWith(whole) })).toMatch(/nothing in it signed CN=Acme mesh, O=Acme/);
    expect(await failure({ path: folderWith({ ...whole, "root-cert.pem": "password" }) })).toMatch(
      /nothing in it signed/,
    );
    expect(await failure({ path: join(folder, "ec") }, clock.now() + 3 * 86_400_000)).toMatch(/has expired/);
    expect(await failure({ path: join(folder, "ec", "ca.p12") })).toMatch(/the password is not its own/);
    expect(await failure({ path: join(folder, "ec", "password") })).toMatch(/is no PKCS#12 archive/);
  });
});

function openssl(type: string, args: readonly string[]): string {
  return execFileSync("openssl", args, {
    cwd: join(folder, type),
    stdio: ["ignore", "pipe", "ignore"],
  }).toString();
}

function read(type: string, name: string): string {
  return readFileSync(join(folder, type, name), "utf8");
}
