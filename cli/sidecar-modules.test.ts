import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const run = promisify(execFile);

/** Notes every module that is asked for, then reads a command line and loads the proxy as `weft proxy` does. */
const program = `
  const { registerHooks } = process.getBuiltinModule("node:module");
  const urls = new Set();
  registerHooks({ resolve: (specifier, context, next) => {
    const found = next(specifier, context);
    urls.add(found.url);
    return found;
  } });
  const { readProxyArguments } = await import("./cli/proxy-arguments.ts");
  if (readProxyArguments(["proxy", "--name", "a"]) === undefined) throw new Error("commander would be asked");
  await import("./cli/run-proxy.ts");
  await import("./proxy/app.ts");
  await import("./proxy/config.ts");
  process.stdout.write(JSON.stringify({ urls: [...urls], builtin: process.moduleLoadList }));
`;

describe("a sidecar", () => {
  it("loads no library that only other parts need, nor the HTTP client inside Node", async () => {
    const args = ["--input-type=module", "--eval", program];
    const { stdout } = await run(process.execPath, args, { maxBuffer: 10_000_000, timeout: 60_000 });
    const { urls, builtin } = JSON.parse(stdout) as { urls: string[]; builtin: string[] };
    const libraries = new Set(
      urls.map((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]).filter((name) => name),
    );
    expect([...libraries]).toContain("@grpc/grpc-js");
    expect(
      ["chokidar", "commander", "dns-packet", "fastify", "jose", "koffi", "undici", "yaml", "zod"].filter(
        (name) => libraries.has(name),
      ),
    ).toEqual([]);
    expect(urls.filter((url) => url.includes("/control-plane/"))).toEqual([]);
    expect(builtin.filter((name) => /undici/.test(name))).toEqual([]);
  });
});
