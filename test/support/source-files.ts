import { globSync, readFileSync } from "node:fs";

export interface SourceFile {
  /** Relative to the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
  readonly isTest: boolean;
}

export interface Import {
  readonly specifier: string;
  /** 1-based. */
  readonly line: number;
  readonly isTypeOnly: boolean;
}

const importPattern =
  /^\s*(?:import|export)\s+(?<type>type\s)?(?:[^"';]*?\sfrom\s+)?["'](?<specifier>[^"']+)["']|(?<type2>)\bimport\(\s*["'](?<dynamic>[^"']+)["']\s*\)/gm;

/** Every TypeScript file of the repository with the modules it imports; read as text, nothing is run. */
export function sourceFiles(): readonly SourceFile[] {
  return globSync("{common,proxy,control-plane,cli,dashboard,examples,test,bench}/**/*.ts", {
    exclude: (path) => path.includes("node_modules") || path.includes("generated"),
  })
    .map((path) => path.replaceAll("\\", "/"))
    .sort()
    .map((path) => {
      const text = readFileSync(path, "utf8");
      return { path, text, imports: importsOf(text), isTest: /\.test\.ts$|\/contract\.ts$/.test(path) };
    });
}

function importsOf(text: string): Import[] {
  return [...text.matchAll(importPattern)].map((match) => ({
    specifier: match.groups!["specifier"] ?? match.groups!["dynamic"]!,
    line: text.slice(0, match.index).split("\n").length,
    // `import("…").Name` in a type position has no value import behind it; the sources use no dynamic imports otherwise.
    isTypeOnly: match.groups!["type"] !== undefined || match.groups!["dynamic"] !== undefined,
  }));
}
