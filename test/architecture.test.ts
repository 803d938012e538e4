import { readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import type { SourceFile } from "./support/source-files.ts";
import { sourceFiles } from "./support/source-files.ts";

/**
 * The plan of the house as data: each room, and the rooms it may import. A room may always import itself; the longest
 * matching path wins. The table is the one of docs/architecture.md; change both together.
 */
const rooms: Readonly<Record<string, readonly string[]>> = {
  "common/base": [],
  "common/model": ["common/base"],
  "common/routing": ["common/base", "common/model"],
  "common/xds": ["common/base", "common/model"],
  "common/identity": ["common/base", "common/model"],

  "proxy/errors.ts": [],
  "proxy/net": ["common", "proxy/errors.ts"],
  "proxy/dns": ["common", "proxy/net"],
  "proxy/http": ["common/base", "common/model", "proxy/errors.ts", "proxy/net"],
  "proxy/filters": ["common", "proxy/http", "proxy/errors.ts"],
  "proxy/cluster": ["common", "proxy/http", "proxy/net", "proxy/errors.ts"],
  "proxy/state": ["common", "proxy/xds/resource-update.ts"],
  "proxy/xds": ["common"],
  "proxy/identity": ["common", "proxy/net"],
  "proxy/telemetry": ["common", "proxy/net", "proxy/http", "proxy/state", "proxy/cluster", "proxy/errors.ts"],
  "proxy/admin": [
    "common",
    "proxy/http",
    "proxy/state",
    "proxy/cluster",
    "proxy/telemetry",
    "proxy/errors.ts",
  ],
  "proxy/inbound": [
    "common",
    "proxy/http",
    "proxy/net",
    "proxy/filters",
    "proxy/cluster",
    "proxy/state",
    "proxy/telemetry",
    "proxy/errors.ts",
  ],
  "proxy/outbound": [
    "common",
    "proxy/http",
    "proxy/net",
    "proxy/filters",
    "proxy/cluster",
    "proxy/state",
    "proxy/telemetry",
    "proxy/errors.ts",
  ],
  "proxy/listeners": ["common", "proxy/dns", "proxy/http", "proxy/net", "proxy/errors.ts"],
  proxy: ["common", "proxy"],

  "control-plane/resources": ["common"],
  "control-plane/sources": ["common", "control-plane/resources"],
  "control-plane/store": ["common", "control-plane/resources"],
  "control-plane/snapshot": ["common", "control-plane/resources"],
  "control-plane/translate": ["common", "control-plane/snapshot"],
  "control-plane/serve": ["common"],
  "control-plane/ca": ["common"],
  "control-plane/admin": [
    "common",
    "control-plane/resources",
    "control-plane/store",
    "control-plane/snapshot",
  ],
  "control-plane/status": [
    "common",
    "control-plane/resources",
    "control-plane/store",
    "control-plane/snapshot",
    "control-plane/translate",
    "control-plane/serve",
    "control-plane/admin",
    "control-plane/log.ts",
  ],
  "control-plane/live": [
    "common",
    "control-plane/resources",
    "control-plane/store",
    "control-plane/snapshot",
    "control-plane/translate",
    "control-plane/serve",
    "control-plane/status",
    "control-plane/admin",
    "control-plane/log.ts",
  ],
  "control-plane": ["common", "control-plane"],

  cli: [
    "common",
    "control-plane/resources",
    "control-plane/snapshot",
    "control-plane/translate",
    "control-plane/app.ts",
    "control-plane/config.ts",
    "proxy/app.ts",
    "proxy/config.ts",
  ],
  examples: [],
  test: ["common", "proxy", "control-plane", "cli", "bench", "examples"],
  bench: ["common", "proxy", "control-plane", "test/support"],
};

/** Files of common/ with one reader so far, and the second that is on its way. */
const awaitingReader: Readonly<Record<string, string>> = {
  "common/routing/explain.ts": "the dashboard explains as the command does",
  "common/routing/hypothetical-request.ts": "the dashboard asks as the command does",
};

/** Doors: a library is imported only by these rooms, so that it can be replaced in one place. */
const doors: Readonly<Record<string, readonly string[]>> = {
  protobufjs: ["common/xds"],
  "@grpc/grpc-js": ["control-plane/serve", "proxy/xds", "proxy/identity", "proxy/filters"],
  "@peculiar/x509": ["control-plane/ca"],
  "reflect-metadata": ["control-plane/ca"],
  "node-forge": ["control-plane/ca/pkcs12.ts"],
  re2js: ["common/routing/regex.ts"],
  zod: ["control-plane/resources", "cli/local-mesh"],
  yaml: ["control-plane/resources", "cli/local-mesh", "cli"],
  chokidar: ["control-plane/sources"],
  fastify: ["control-plane/admin"],
  pino: ["proxy/telemetry", "control-plane"],
  opossum: ["proxy/filters/circuit.ts"],
  "prom-client": ["proxy/telemetry", "control-plane/admin", "control-plane"],
  jose: ["proxy/filters"],
  undici: ["cli", "proxy/filters"],
  commander: ["cli"],
  "dns-packet": ["proxy/dns"],
  koffi: ["proxy/net/original-destination.ts"],
  "http-proxy": ["bench/peers"],
};

/** Names that make a unit depend on the real time, chance or environment, with the one place where each may stand. */
const bannedCalls: readonly {
  readonly pattern: RegExp;
  readonly why: string;
  readonly allowed: readonly string[];
}[] = [
  {
    pattern: /\b(?:Date\.now|performance\.now|setTimeout|setInterval)\(/,
    why: "time is an input: take a Clock (common/base/clock.ts)",
    allowed: ["common/base/clock.ts", "cli", "bench", "examples"],
  },
  {
    pattern: /\bMath\.random\(/,
    why: "chance is an input: take a Random (common/base/random.ts)",
    allowed: ["common/base/random.ts", "bench", "examples"],
  },
  {
    pattern: /\bprocess\.env\b/,
    why: "settings are read once, in config.ts",
    allowed: ["proxy/config.ts", "control-plane/config.ts", "cli", "bench", "examples"],
  },
  {
    pattern: /\bnew RegExp\((?!["'`/])/,
    why: "patterns from users run in linear time: common/routing/regex.ts",
    allowed: [],
  },
];

const files = sourceFiles();
const production = files.filter((file) => !file.isTest && !file.path.startsWith("test/"));

describe("the rooms", () => {
  it("gives every source file a room", () => {
    expect(files.filter((file) => roomOf(file.path) === undefined).map((file) => file.path)).toEqual([]);
  });

  it("lets a room import only the rooms its line names", () => {
    const trespasses: string[] = [];
    for (const file of production) {
      for (const { target, line } of ownImports(file)) {
        const room = roomOf(file.path)!;
        if (isWithin(target, room)) continue;
        if (!rooms[room]!.some((allowed) => isWithin(target, allowed))) {
          trespasses.push(
            `${file.path}:${line} (room ${room}) must not import ${target}; it may import ${rooms[room]!.join(", ") || "nothing"}`,
          );
        }
      }
    }
    expect(trespasses).toEqual([]);
  });

  it("keeps proxy and control plane, inbound and outbound apart", () => {
    const apart: readonly (readonly [string, string])[] = [
      ["proxy", "control-plane"],
      ["control-plane", "proxy"],
      ["proxy/inbound", "proxy/outbound"],
      ["proxy/outbound", "proxy/inbound"],
    ];
    for (const file of production) {
      for (const { target } of ownImports(file)) {
        for (const [from, to] of apart) {
          if (isWithin(file.path, from))
            expect(isWithin(target, to), `${file.path} imports ${target}`).toBe(false);
        }
      }
    }
  });

  it("has no import cycle", () => {
    expect(findCycle(production)).toBeUndefined();
  });

  it("keeps a file in common/ only while two of proxy, control plane and command reach it", () => {
    const reach = new Map<string, Set<string>>();
    for (const top of ["proxy", "control-plane", "cli"]) {
      for (const path of reachableFrom(production.filter((file) => isWithin(file.path, top)))) {
        reach.set(path, (reach.get(path) ?? new Set()).add(top));
      }
    }
    const lonely = production.filter(
      (file) =>
        isWithin(file.path, "common") &&
        !(file.path in awaitingReader) &&
        (reach.get(file.path)?.size ?? 0) < 2,
    );
    expect(lonely.map((file) => file.path)).toEqual([]);
  });
});

describe("the doors", () => {
  it("imports each library only behind its door", () => {
    const trespasses: string[] = [];
    for (const file of production) {
      for (const { specifier, line } of file.imports) {
        if (specifier.startsWith(".") || specifier.startsWith("node:") || builtinModules.includes(specifier))
          continue;
        const library = specifier
          .split("/")
          .slice(0, specifier.startsWith("@") ? 2 : 1)
          .join("/");
        const allowed = doors[library];
        if (allowed === undefined || !allowed.some((door) => isWithin(file.path, door))) {
          trespasses.push(
            `${file.path}:${line} imports ${library}, whose door is ${allowed?.join(" or ") ?? "not in the table"}`,
          );
        }
      }
    }
    expect(trespasses).toEqual([]);
  });

  it("names only libraries that package.json has", () => {
    const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Record<
      string,
      Record<string, string>
    >;
    const known = { ...manifest["dependencies"], ...manifest["devDependencies"] };
    expect(Object.keys(doors).filter((library) => !(library in known))).toEqual([]);
  });
});

describe("the habits", () => {
  it("takes time, chance and settings as inputs", () => {
    const trespasses: string[] = [];
    for (const file of production) {
      for (const { pattern, why, allowed } of bannedCalls) {
        if (allowed.some((place) => isWithin(file.path, place))) continue;
        file.text.split("\n").forEach((text, index) => {
          const code = text.replace(/^\s*(?:\/?\*|\/\/).*$/, "");
          if (pattern.test(code)) trespasses.push(`${file.path}:${index + 1}: ${why}`);
        });
      }
    }
    expect(trespasses).toEqual([]);
  });

  it("keeps stacks readable: under 60 lines and without an if", () => {
    for (const path of ["proxy/inbound/stack.ts", "proxy/outbound/stack.ts"]) {
      const text = readFileSync(path, "utf8");
      expect(text.split("\n").length, path).toBeLessThanOrEqual(60);
      expect(text, path).not.toMatch(/\bif\s*\(/);
    }
  });

  it("has no file so long that people fear it, and none named for what it is not", () => {
    const long = production.filter((file) => file.text.split("\n").length > 600).map((file) => file.path);
    const nameless = files
      .filter((file) => /\/(?:utils?|helpers?|types|misc|common)\.ts$/.test(file.path))
      .map((file) => file.path);
    expect({ long, nameless }).toEqual({ long: [], nameless: [] });
  });
});

function roomOf(path: string): string | undefined {
  return Object.keys(rooms)
    .filter((room) => isWithin(path, room))
    .sort((a, b) => b.length - a.length)[0];
}

function isWithin(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}/`);
}

function ownImports(file: SourceFile): { target: string; line: number; isTypeOnly: boolean }[] {
  return file.imports
    .filter(({ specifier }) => specifier.startsWith("."))
    .map(({ specifier, line, isTypeOnly }) => ({
      target: normalize(join(dirname(file.path), specifier)),
      line,
      isTypeOnly,
    }));
}

function reachableFrom(start: readonly SourceFile[]): Set<string> {
  const byPath = new Map(production.map((file) => [file.path, file]));
  const seen = new Set<string>();
  const queue = [...start];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    for (const { target } of ownImports(file)) {
      const next = byPath.get(target);
      if (next === undefined || seen.has(target)) continue;
      seen.add(target);
      queue.push(next);
    }
  }
  return seen;
}

/** Depth-first over value imports; type-only imports vanish at run time and may point anywhere their room allows. */
function findCycle(from: readonly SourceFile[]): string[] | undefined {
  const byPath = new Map(from.map((file) => [file.path, file]));
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    const file = byPath.get(path);
    if (file === undefined || done.has(path)) return undefined;
    for (const { target, isTypeOnly } of ownImports(file)) {
      const cycle = isTypeOnly ? undefined : visit(target, [...trail, path]);
      if (cycle !== undefined) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const file of from) {
    const cycle = visit(file.path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
