import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeObject } from "./decode.ts";
import type { DocumentCache } from "./decode-text.ts";
import { decodeText, textLimits } from "./decode-text.ts";
import { kindDefinitions } from "./index.ts";
import { formatYaml } from "./yaml.ts";

const entry = (name: string, address = "10.0.0.1") => ({
  apiVersion: "networking.istio.io/v1",
  kind: "WorkloadEntry",
  metadata: { name },
  spec: { address },
});

describe("decodeText", () => {
  it("never throws on arbitrary text", () => {
    const tokens = fc.constantFrom(
      "- ",
      "\n",
      "  ",
      ": ",
      "&a ",
      "*a ",
      "[",
      "]",
      "{",
      "}",
      "!!binary ",
      "---\n",
      "%YAML 1.1\n",
      "'",
      '"',
      "|\n",
      "? ",
      "<<: ",
      "#",
      "\t",
      "\0",
      "é",
      "spec",
      "kind: VirtualService\n",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(tokens, fc.string()), { maxLength: 60 }), (parts) => {
        const decoded = decodeText(parts.join(""), "fuzz.yaml");
        for (const problem of decoded.problems) expect(problem.at?.line).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });

  it("never throws on arbitrary values inside real objects", () => {
    const names = fc.constantFrom(
      "hosts",
      "http",
      "route",
      "match",
      "uri",
      "headers",
      "destination",
      "host",
      "weight",
      "subsets",
      "name",
      "labels",
      "ports",
      "endpoints",
      "servers",
      "port",
      "number",
      "trafficPolicy",
      "fault",
      "delay",
      "retries",
      "timeout",
      "constructor",
    );
    const value = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: "medium" },
        fc.jsonValue(),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(names, tie("value"), { maxKeys: 4 }),
      ),
    })).value;
    fc.assert(
      fc.property(
        fc.constantFrom(...kindDefinitions.map(({ kind }) => kind)),
        value,
        value,
        (kind, metadata, spec) => {
          const object = {
            apiVersion: "networking.istio.io/v1",
            kind,
            metadata: { name: "a", labels: metadata },
            spec,
          };
          const result = decodeObject(object, { now: 0 });
          if (!result.ok)
            expect(result.problems.some((problem) => problem.severity !== "warning")).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("never throws on values that JSON does not have", () => {
    const circular: Record<string, unknown> = entry("a");
    circular["spec"] = circular;
    const strange: unknown[] = [
      undefined,
      null,
      1,
      "text",
      () => 1,
      Symbol("a"),
      new Map(),
      [],
      circular,
      { ...entry("a"), spec: { address: 1n } },
    ];
    for (const value of strange) expect(decodeObject(value, { now: 0 }).ok).toBe(false);
  });

  it("reads objects whose constructor is data, which zod's own messages cannot", () => {
    const name = Object.create(null) as unknown;
    const result = decodeObject(
      { ...entry("a"), spec: [], metadata: { name: "a", labels: { constructor: { name } } } },
      { now: 0 },
    );
    expect(result).toMatchObject({
      ok: false,
      problems: [{ path: "metadata.labels.constructor" }, { path: "spec" }],
    });
  });

  it("case 52: refuses 10,000 levels of JSON without a stack overflow", () => {
    const depth = 10_000;
    const text = `{"apiVersion":"networking.istio.io/v1","kind":"WorkloadEntry","metadata":{"name":"a"},"spec":${'{"a":'.repeat(depth)}1${"}".repeat(depth)}}`;
    const decoded = decodeText(text, "deep.json");
    expect(decoded.resources).toEqual([]);
    expect(decoded.problems.length).toBeLessThanOrEqual(5);
    expect(decoded.problems[0]?.why).toBe("is nested deeper than 64 levels");
    expect(decodeObject(JSON.parse(text), { now: 0 })).toMatchObject({
      ok: false,
      problems: [{ why: "is nested deeper than 64 levels" }],
    });
  });

  it("case 52: refuses __proto__ in objects that came as JSON", () => {
    const object: unknown = JSON.parse(
      '{"apiVersion":"networking.istio.io/v1","kind":"WorkloadEntry","metadata":{"name":"a","labels":{"__proto__":"x"}},"spec":{"address":"10.0.0.1"}}',
    );
    expect(decodeObject(object, { now: 0 })).toMatchObject({
      ok: false,
      problems: [{ path: "metadata.labels.__proto__" }],
    });
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });

  it("refuses a file that is too large or has too many documents, and says the limit", () => {
    const text = [entry("a"), entry("b"), entry("c")].map(formatYaml).join("---\n");
    const large = decodeText(text, "a.yaml", { limits: { ...textLimits, maxBytes: 100 } });
    expect(large).toMatchObject({ resources: [], hasUnnamed: true, problems: [{ at: { file: "a.yaml" } }] });
    expect(large.problems[0]?.why).toContain("the limit is 100");
    const many = decodeText(text, "a.yaml", { limits: { ...textLimits, maxDocuments: 2 } });
    expect(many.problems[0]?.why).toBe("the file has more than 2 documents");
    const limits = { ...textLimits, maxDocumentBytes: 150 };
    const wide = decodeText(`${text}---\n# ${"x".repeat(150)}\n${formatYaml(entry("wide"))}`, "a.yaml", {
      limits,
    });
    expect(wide.resources).toHaveLength(3);
    expect(wide.problems).toMatchObject([
      { why: expect.stringContaining("the limit is 150"), at: { line: 21 } },
    ]);
  });

  it("case 54: rejects one bad resource among 1,000 good ones and nothing else", () => {
    const objects = Array.from({ length: 1_001 }, (_, index) =>
      entry(`w-${index}`, index === 500 ? "no address" : "10.0.0.1"),
    );
    const decoded = decodeText(objects.map(formatYaml).join("---\n"), "many.yaml");
    expect(decoded.resources).toHaveLength(1_000);
    expect(decoded.refused).toEqual([{ kind: "WorkloadEntry", namespace: "default", name: "w-500" }]);
  });

  it("reads again only the documents that changed", () => {
    const cache: DocumentCache = new Map();
    const text = ["a", "b", "c"].map((name) => formatYaml(entry(name))).join("---\n");
    const first = decodeText(text, "a.yaml", { cache });
    const second = decodeText(text.replace("name: b", "name: x"), "a.yaml", { cache });
    expect(second.resources.map(({ name }) => name)).toEqual(["a", "x", "c"]);
    expect(second.resources[0]).toBe(first.resources[0]);
    expect(second.resources[2]).toBe(first.resources[2]);
    const moved = decodeText(`# one line more\n${text}`, "a.yaml", { cache });
    expect(moved.resources.map(({ source }) => source.line)).toEqual(
      first.resources.map(({ source }) => source.line! + 1),
    );
    expect(cache.size).toBe(3);
  });

  it.each([
    ["directives", "%YAML 1.2\n---\n"],
    ["a byte order mark", "\ufeff"],
    ["an end mark", "...\n---\n"],
    ["Windows line ends", "\r\n---\r\n"],
  ])("reads documents after %s", (_title, beginning) => {
    const decoded = decodeText(
      `${beginning}${formatYaml(entry("a"))}---\n${formatYaml(entry("b"))}`,
      "a.yaml",
    );
    expect(decoded.problems).toEqual([]);
    expect(decoded.resources.map(({ name }) => name)).toEqual(["a", "b"]);
  });

  it("gives equal content an equal version, wherever and in whatever order it is written", () => {
    const [one] = decodeText(formatYaml(entry("a")), "one.yaml").resources;
    const { spec, metadata, kind, apiVersion } = entry("a");
    const [other] = decodeText(
      `\n\n# moved\n${formatYaml({ spec, metadata, kind, apiVersion, status: { a: 1 } })}`,
      "b.yaml",
    ).resources;
    const [changed] = decodeText(formatYaml(entry("a", "10.0.0.2")), "one.yaml").resources;
    expect(other?.version).toBe(one?.version);
    expect(changed?.version).not.toBe(one?.version);
    expect(other?.source).toEqual({
      kind: "WorkloadEntry",
      namespace: "default",
      name: "a",
      file: "b.yaml",
      line: 4,
    });
  });

  it("refuses a document of brackets without parsing it, and no document for brackets that close", () => {
    const [problem] = decodeText("[{".repeat(500_000), "a.yaml").problems;
    expect(problem?.why).toBe("is nested deeper than 64 levels");
    expect(decodeText(JSON.stringify(Array(5000).fill({})), "a.yaml").problems).not.toEqual([problem]);
  });
});
