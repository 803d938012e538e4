import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Certificates {
  /** Writes `NAME.pem` and `NAME.key` of an authority. */
  makeAuthority(name: string): void;
  /** Writes `NAME.pem` and `NAME.key`, signed by an authority; `names` as in `DNS:a.example.com,URI:spiffe://mesh/a`. */
  makeCertificate(name: string, authority: string, names: string): void;
}

/** Makes certificates with openssl, as files in a folder. */
export function certificatesIn(folder: string): Certificates {
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "ignore" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  return {
    makeAuthority: (name) => {
      const out = ["-keyout", file(`${name}.key`), "-out", file(`${name}.pem`)];
      openssl("req", "-x509", ...key, "-days", "2", "-subj", `/CN=${name}`, ...out);
    },
    makeCertificate: (name, authority, names) => {
      const [request, extensions] = [file(`${name}.csr`), file(`${name}.ext`)];
      writeFileSync(extensions, `subjectAltName=${names}\n`);
      openssl("req", "-new", ...key, "-subj", `/CN=${name}`, "-keyout", file(`${name}.key`), "-out", request);
      const signer = ["-CA", file(`${authority}.pem`), "-CAkey", file(`${authority}.key`), "-CAcreateserial"];
      const out = ["-extfile", extensions, "-out", file(`${name}.pem`)];
      openssl("x509", "-req", "-days", "2", "-in", request, ...signer, ...out);
    },
  };
}
