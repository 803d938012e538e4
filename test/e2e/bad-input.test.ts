import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunningLoad } from "../support/load.ts";
import { startLoad } from "../support/load.ts";
import type { RunningMesh } from "../support/mesh.ts";
import { startMesh } from "../support/mesh.ts";

/** What a person may get wrong, applied to a running mesh: refused with the place, the reason and a hint, traffic unchanged. */
let mesh: RunningMesh;
let running: RunningLoad;
const folder = mkdtempSync(join(tmpdir(), "weft-bad-input-"));

beforeAll(async () => {
  mesh = await startMesh("examples/shop/mesh.yaml");
  running = startLoad({ url: `${mesh.gatewayUrl}/productms/products`, concurrency: 4, perSecond: 200 });
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await running?.stop();
  await mesh?.stop();
});

const virtualService = (http: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: product }
spec:
  http:
${http}`;

const toV1 = "{ host: product, subset: v1 }";

describe("bad input", () => {
  it.each([
    {
      what: "an unknown field",
      text: virtualService("    - rout:\n        - destination: { host: product }\n"),
      says: [/unknown-field\.yaml:6/, /spec\.http\[0\]\.rout\b/, /route/],
    },
    {
      what: "a weight sum of 0",
      text: virtualService(
        "    - route:\n        - { destination: { host: product, subset: v1 }, weight: 0 }\n        - { destination: { host: product, subset: v2 }, weight: 0 }\n",
      ),
      says: [/weight-sum-of-0\.yaml:\d+/, /spec\.http\[0\]\.route/, /weight/],
    },
    {
      what: "an undefined subset",
      text: virtualService("    - route:\n        - destination: { host: product, subset: v9 }\n"),
      says: [/undefined-subset\.yaml:7|product/, /v9/, /v1, v2|v1|DestinationRule/],
    },
    {
      what: "a regex bomb",
      text: virtualService(
        "    - match:\n        - uri: { regex: '((a{1000}){1000}){1000}' }\n      route:\n        - destination: { host: product, subset: v1 }\n",
      ),
      says: [/regex-bomb\.yaml:7/, /spec\.http\[0\]\.match\[0\]\.uri\.regex/],
    },
    {
      what: "a backreference",
      text: virtualService(
        "    - match:\n        - uri: { regex: '(a)\\1' }\n      route:\n        - destination: { host: product, subset: v1 }\n",
      ),
      says: [/backreference\.yaml:7/, /regex/],
    },
    {
      what: "a YAML alias bomb",
      text: `a: &a [x, x, x, x, x, x, x, x, x]\n${[..."bcdefghi"]
        .map((name, index) => {
          const before = "abcdefghi"[index]!;
          return `${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(", ")}]`;
        })
        .join("\n")}\n`,
      says: [/yaml-alias-bomb\.yaml/, /alias/],
    },
    {
      what: "a __proto__ key",
      text: virtualService(
        "    - __proto__: { polluted: true }\n      route:\n        - destination: { host: product, subset: v1 }\n",
      ),
      says: [/proto-key\.yaml:6/, /__proto__/],
    },
    {
      what: "a misspelt kind",
      text: "apiVersion: networking.istio.io/v1\nkind: VirtualServce\nmetadata: { name: product }\nspec: {}\n",
      says: [/misspelt-kind\.yaml:\d+/, /VirtualService/],
    },
    ...[
      {
        what: "a weight of NaN",
        rule: `route: [{ destination: ${toV1}, weight: .nan }]`,
        at: /route\[0\]\.weight: \.nan/,
      },
      {
        what: "a weight of 1e308",
        rule: `route: [{ destination: ${toV1}, weight: 1e308 }]`,
        at: /weight: 1e\+308/,
      },
      {
        what: "a percentage of 0.00009",
        rule: `route: [{ destination: ${toV1} }]\n      mirror: { host: product }\n      mirrorPercentage: { value: 0.00009 }`,
        at: /mirrorPercentage\.value: 0\.00009/,
        line: 8,
      },
      {
        what: "a time-out of 5",
        rule: `route: [{ destination: ${toV1} }]\n      timeout: 5`,
        at: /timeout: 5 has no unit/,
        line: 7,
      },
      {
        what: "a time-out of 1e9h",
        rule: `route: [{ destination: ${toV1} }]\n      timeout: 1e9h`,
        at: /timeout: "1e9h"/,
        line: 7,
      },
      {
        what: "a negative time-out",
        rule: `route: [{ destination: ${toV1} }]\n      timeout: -1s`,
        at: /timeout: "-1s" is negative/,
        line: 7,
      },
      {
        what: "port 65536",
        rule: "route: [{ destination: { host: product, port: { number: 65536 } } }]",
        at: /port\.number: 65536/,
      },
      {
        what: "an empty prefix",
        rule: `match: [{ uri: { prefix: "" } }]\n      route: [{ destination: ${toV1} }]`,
        at: /match\[0\]\.uri\.prefix/,
      },
      { what: "a delegate that is itself", rule: "delegate: { name: product }", at: /http\[0\]\.delegate: / },
    ].map(({ what, rule, at, line = 6 }) => ({
      what,
      text: virtualService(`    - ${rule}\n`),
      says: [new RegExp(`\\.yaml:${line}: spec\\.http`), at],
    })),
  ])("refuses $what precisely, and traffic goes on as before", async ({ what, text, says }) => {
    const name = `${what
      .toLowerCase()
      .replace(/^an? /, "")
      .replaceAll(/[^a-z0-9]+/g, "-")
      .replaceAll(/^-|-$/g, "")}.yaml`;
    const file = join(folder, name);
    writeFileSync(file, text);
    const from = running.count;
    const applied = await mesh.weft("apply", "-f", file);
    const said = applied.stdout + applied.stderr;
    console.log(`${what}:\n${said.trim()}`);
    expect(applied.code, said).toBe(1);
    for (const pattern of says) expect(said).toMatch(pattern);
    expect(said.split("\n").length, "one problem is a few lines, never a stack trace").toBeLessThan(12);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    await running.reached(from + 50);
  });

  it("never changed an answer: v1 served every request, none failed", async () => {
    const report = await running.stop();
    expect(report.failures).toEqual([]);
    expect([...report.servedBy.keys()]).toEqual(["product-v1"]);
  });
});
