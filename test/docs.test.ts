import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { kindsOfLater } from "../control-plane/resources/index.ts";
import { errorCatalogue } from "../proxy/errors.ts";

/** Documents stay true because these fail when they are not. */
const pages = ["README.md", ...globSync("docs/**/*.md")].filter((path) => existsSync(path));

describe("the documents", () => {
  it.each(pages)("has no dead link in %s", (page) => {
    expect(linksOf(page).filter(({ path }) => !existsSync(path))).toEqual([]);
  });

  it.each([
    [
      "docs/life-of-a-request.md",
      ["proxy/outbound/stack.ts", "proxy/inbound/stack.ts", "proxy/filters/order.ts"],
    ],
    ["docs/life-of-a-config-change.md", ["control-plane/app.ts", "common/xds", "proxy/xds", "proxy/state"]],
  ] as const)("follows the real files in %s", (page, stations) => {
    const linked = linksOf(page).map(({ path }) => path);
    expect(linked.length).toBeGreaterThanOrEqual(10);
    for (const station of stations) {
      expect(
        linked.some((path) => path.startsWith(station)),
        `${page} leads past ${station}`,
      ).toBe(true);
    }
  });

  it("leads to every page of the reference from its first one", () => {
    const linked = linksOf("docs/reference/README.md").map(({ path }) => path);
    expect(linked).toEqual(expect.arrayContaining(globSync("docs/reference/[a-z]*.md")));
  });

  it("tells those who come from Istio of every kind that is refused", () => {
    const page = readFileSync("docs/coming-from-istio.md", "utf8");
    const [, missing = ""] = page.split("## Not supported yet");
    const refused = [...kindsOfLater].filter(([group]) => group !== "weft.dev").flatMap(([, kinds]) => kinds);
    expect(refused.filter((kind) => !missing.includes(`\`${kind}\``))).toEqual([]);
  });

  it("lists every error code with its statuses and flag, and no other", () => {
    const rows = [
      ...readFileSync("docs/reference/errors.md", "utf8").matchAll(/^\| `([a-z_]+)` +\|(.+)\|$/gm),
    ].map(
      ([, code, rest]) =>
        [
          code!,
          rest!
            .split("|")
            .map((cell) => cell.trim())
            .slice(0, 5),
        ] as const,
    );
    const expected = Object.entries(errorCatalogue).map(([code, entry]) => [
      code,
      [
        entry.http === 0 ? "–" : String(entry.http),
        entry.grpc,
        entry.flag || "–",
        entry.side,
        entry.retry ? "yes" : "no",
      ],
    ]);
    expect(rows).toEqual(expected);
  });
});

/** Relative links of a page, as paths from the repository's root and without anchors. */
function linksOf(page: string): { text: string; path: string }[] {
  return [...readFileSync(page, "utf8").matchAll(/\[([^\]]+)\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)].map(
    ([, text, target]) => ({ text: text!, path: normalize(join(dirname(page), target!)) }),
  );
}
