import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { freePortBase, runWeft } from "../support/mesh.ts";

const folder = mkdtempSync(join(tmpdir(), "weft-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe("wrong use", () => {
  it.each([
    [[], /^weft: a command is missing; weft --help lists them\n$/],
    [["aply"], /^weft: unknown command 'aply' \(Did you mean apply\?\)\n$/],
    [["up"], /^weft: missing required argument 'file'\n$/],
    [["up", "/no/such/mesh.yaml"], /^weft up: cannot read \/no\/such\/mesh.yaml: there is no such file\n$/],
    [
      ["up", "x.yaml", "--port-bas", "1"],
      /^weft: unknown option '--port-bas' \(Did you mean --port-base\?\)\n$/,
    ],
    [["proxy"], /^weft: required option '--name <name>' not specified\n$/],
    [["apply"], /^weft: required option '-f, --file <path>' not specified\n$/],
    [["apply", "-f", "/no/such"], /^weft apply: cannot read \/no\/such: there is no such file or folder\n$/],
    [["delete", "VirtualService"], /^weft delete: "VirtualService" is not KIND\/NAME/],
    [["get", "VirtualServic"], /^weft get: VirtualServic is not a known kind.*VirtualService/],
    [["validate"], /^weft: missing required argument 'path'\n$/],
    [["validate", "/no/such"], /^weft validate: cannot read \/no\/such/],
    [["explain", "GET"], /^weft: missing required argument 'url'\n$/],
    [["explain", "GET", "ftp://review/"], /^weft explain: scheme "ftp" is not routed; use http or https\n$/],
    [
      ["explain", "GET", "http://review/", "-H", "nocolon"],
      /^weft explain: -H "nocolon" is not 'name: value'/,
    ],
    [["explain", "GET", "http://review/", "--from", "app"], /^weft explain: --from "app" is not k=v,…/],
  ])("it answers `weft %j` with one clear line and exit code 2", async (args, line) => {
    const { code, stdout, stderr } = await runWeft(args);
    expect(stderr).toMatch(line);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });

  it.each([["--help"], ["up", "--help"], ["explain", "--help"], ["--version"]])(
    "it answers `weft %s %s` on standard output",
    async (...args) => {
      const { code, stdout, stderr } = await runWeft(args.filter((arg) => arg !== undefined));
      expect(stdout).not.toBe("");
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    },
  );
});

describe("without a control plane", () => {
  it.each([["get"], ["status"], ["delete", "vs/a"], ["explain", "GET", "http://a/"]])(
    "it says in one line that none answers (weft %s)",
    async (...args) => {
      const env = { ...process.env, WEFT_CONTROL_PLANE: "127.0.0.1:1" };
      const { code, stderr } = await runWeft(args, env);
      expect(stderr).toMatch(
        new RegExp(
          `^weft ${args[0]}: no control plane answers at 127\\.0\\.0\\.1:1 .*WEFT_CONTROL_PLANE\\n$`,
        ),
      );
      expect(code).toBe(1);
    },
  );

  it("says in one line that something else answers", async () => {
    const server = createHttpServer((request, response) => {
      response.statusCode = request.url === "/resources" ? 404 : 200;
      response.end("<html>\nwelcome\n</html>");
    }).listen(0, "127.0.0.1");
    try {
      await once(server, "listening");
      const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      const get = await runWeft(["get", "--control-plane", address]);
      expect([get.code, get.stderr]).toEqual([
        1,
        `weft get: ${address} answers 404: "<html>\\nwelcome\\n</html>"; is it a control plane's HTTP API?\n`,
      ]);
      const status = await runWeft(["explain", "GET", "http://a/", "--control-plane", address]);
      expect([status.code, status.stderr]).toEqual([
        1,
        `weft explain: what answers at ${address} is no control plane\n`,
      ]);
    } finally {
      server.close();
    }
  });

  it("it takes an address that is none for wrong use", async () => {
    const { code, stderr } = await runWeft(["get", "--control-plane", "http://localhost"]);
    expect([code, stderr]).toEqual([2, 'weft get: control plane "http://localhost" is not HOST:PORT\n']);
  });
});

describe("weft proxy", () => {
  it("it names every bad flag", async () => {
    const { code, stderr } = await runWeft([
      "proxy",
      "--name",
      "a",
      "--inbound",
      "x",
      "--labels",
      "y",
      "--drain",
      "5",
    ]);
    expect(code).toBe(2);
    for (const flag of ["--inbound", "--labels", "--drain", "--app"]) expect(stderr).toContain(flag);
  });
});

describe("weft up", () => {
  it("it prints every problem of a mesh file and exits with 1", async () => {
    const path = file("bad.yaml", "kind: LocalMesh\nname: Bad\nworkloads:\n  - { nam: a }\n");
    const { code, stderr } = await runWeft(["up", path]);
    expect(stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/bad\.yaml:2: name: must be lower-case/),
      expect.stringMatching(
        /bad\.yaml:4: workloads\[0\]\.nam: is not a known field \(hint: did you mean "name"\?\)/,
      ),
    ]);
    expect(code).toBe(1);
  });

  it("it says which port is taken, by whom, and how to move", async () => {
    const path = file("mesh.yaml", "kind: LocalMesh\nname: m\nworkloads:\n  - { name: a }\n");
    const base = await freePortBase();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(base + 14, "127.0.0.1", resolve));
    const { code, stderr } = await runWeft(["up", path, "--port-base", String(base), "--state", folder]);
    await new Promise((resolve) => server.close(resolve));
    expect(stderr).toContain(
      `port ${base + 14} (the control plane's HTTP API) is taken by pid ${process.pid}`,
    );
    expect(stderr).toContain(`--port-base ${base + 2000}`);
    expect(code).toBe(1);
  });
});

describe("weft validate", () => {
  it("it accepts the examples", async () => {
    const { code, stdout, stderr } = await runWeft(["validate", "examples/hello/config"]);
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: "3 resources are valid\n" });
  });

  it("it prints every problem of every document and exits with 1", async () => {
    const path = file(
      "routes.yaml",
      `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: a }
spec:
  hosts: [a]
  http:
    - timeot: 5s
      route: [{ destination: { host: a } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: b }
spec:
  hosts: [b]
  http:
    - timeout: "5"
      route: [{ destination: { host: b } }]
`,
    );
    const { code, stderr } = await runWeft(["validate", path]);
    expect(stderr).toMatch(/routes\.yaml:7: .*timeot.*timeout/);
    expect(stderr).toMatch(/routes\.yaml:16: .*"5" is not a duration/);
    expect(code).toBe(1);
  });

  it("it reads standard input", async () => {
    const { code, stderr } = await runWeft(["validate", "-"], process.env, "kind: Nonsense\n");
    expect(stderr).toMatch(/<stdin>:1: /);
    expect(code).toBe(1);
  });
});
