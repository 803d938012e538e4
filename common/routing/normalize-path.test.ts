import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { PathNormalization, PathNormalizationMode } from "../model/request-entry.ts";
import { escapedSlashesModes, pathNormalizationModes, pathParametersModes } from "../model/request-entry.ts";
import type { PathVerdict } from "./normalize-path.ts";
import { compilePathNormalization } from "./normalize-path.ts";

function normalized(path: string, normalization: Partial<PathNormalization>): string | PathVerdict {
  const normalize = compilePathNormalization({
    mode: "base",
    parameters: "keep",
    escapedSlashes: "keep",
    ...normalization,
  });
  return normalize === undefined ? path : normalize(path);
}

describe("one path", () => {
  const same = undefined;
  // The rows of Istio's own table of cases; undefined: as it came.
  const rows: readonly [path: string, base: string | undefined, merge: string, decode: string][] = [
    ["/app/../admin", "/admin", "/admin", "/admin"],
    ["/app//", same, "/app/", "/app/"],
    ["/app/%2E./admin", "/admin", "/admin", "/admin"],
    ["/app\\admin", "/app/admin", "/app/admin", "/app/admin"],
    ["/app/\\/\\/\\admin", "/app//////admin", "/app/admin", "/app/admin"],
    ["/app%2f/", same, "/app%2f/", "/app/"],
    ["/%2Fapp%5cadmin%5Cabc", same, "/%2Fapp%5cadmin%5Cabc", "/app/admin/abc"],
    ["/app//../../admin", "/admin", "/admin", "/admin"],
    ["/xyz%30..//abc", "/xyz0..//abc", "/xyz0../abc", "/xyz0../abc"],
    ["//admin", same, "/admin", "/admin"],
    ["/%2Fadmin", same, "/%2Fadmin", "/admin"],
    ["/%5Cadmin", same, "/%5Cadmin", "/admin"],
    ["/a/b/..", "/a/", "/a/", "/a/"],
    ["/a/.", "/a/", "/a/", "/a/"],
    ["/../..", "/", "/", "/"],
    ["/a?x=/../%2e//", same, "/a?x=/../%2e//", "/a?x=/../%2e//"],
  ];

  it.each(rows)("brings %s to its form in each mode", (path, base, merge, decode) => {
    expect(normalized(path, { mode: "none" })).toBe(path);
    expect(normalized(path, { mode: "base" })).toBe(base ?? path);
    expect(normalized(path, { mode: "merge-slashes" })).toBe(merge);
    expect(normalized(path, { mode: "decode-and-merge-slashes" })).toBe(decode);
  });

  it.each([
    "/%252e%252e/admin",
    "/%c0%ae%c0%ae/admin",
    "/.../admin",
    "/Admin",
    "/admin,a=b/xyz",
    "/100%",
    "/a%2",
  ])("leaves %s as it is in every mode", (path) => {
    for (const mode of pathNormalizationModes) expect(normalized(path, { mode })).toBe(path);
  });

  it("refuses NUL", () => {
    for (const mode of ["base", "merge-slashes", "decode-and-merge-slashes"] as const)
      expect(normalized("/admin%00", { mode })).toEqual({ kind: "reject", why: "nul_in_path" });
  });

  it("does not decode twice", () => {
    expect(normalized("/%%330", {})).toBe("/%%330");
    expect(normalized("/%2%45", {})).toBe("/%2%45");
    expect(normalized("/%25%32e", {})).toBe("/%252e");
  });
});

describe("case 31: parameters of segments", () => {
  const tricks = ["/..;/admin", "/;/admin", "/admin;a=b", "/admin;x=y/action;foo=bar", "/a/..;x=1/admin"];

  it("are refused where they are not wanted, escaped ones too", () => {
    for (const path of [...tricks, "/admin%3Ba=b"])
      expect(normalized(path, { parameters: "reject" })).toEqual({ kind: "reject", why: "path_parameters" });
  });

  it("are cut off before dot segments are removed", () => {
    expect(tricks.map((path) => normalized(path, { mode: "merge-slashes", parameters: "strip" }))).toEqual([
      "/admin",
      "/admin",
      "/admin",
      "/admin/action",
      "/admin",
    ]);
  });

  it("are kept where they mean something", () => {
    expect(normalized("/admin;a=b?c;d", {})).toBe("/admin;a=b?c;d");
  });
});

describe("escaped slashes", () => {
  it("can be kept, refused, decoded, or decoded by way of the client", () => {
    const path = "/a%2Fb%5cc?q=%2F";
    expect(normalized(path, { escapedSlashes: "keep" })).toBe(path);
    expect(normalized(path, { escapedSlashes: "reject" })).toEqual({
      kind: "reject",
      why: "escaped_slashes",
    });
    expect(normalized(path, { escapedSlashes: "unescape-and-forward" })).toBe("/a/b/c?q=%2F");
    expect(normalized(path, { escapedSlashes: "unescape-and-redirect" })).toEqual({
      kind: "redirect",
      path: "/a/b/c?q=%2F",
    });
  });

  it("sends nobody elsewhere for anything else", () => {
    expect(normalized("/a/../b", { escapedSlashes: "unescape-and-redirect" })).toBe("/b");
  });
});

describe("any path", () => {
  const tricky = fc
    .array(
      fc.constantFrom(
        "/",
        "//",
        ".",
        "..",
        "%2e",
        "%2E",
        "%2f",
        "%5C",
        "\\",
        ";",
        ";a=b",
        "%",
        "%3",
        "30",
        "%25",
        "a",
        "%00",
        "%3b",
        "\xff",
      ),
      { maxLength: 14 },
    )
    .map((parts) => `/${parts.join("")}`);
  const any = fc.record({
    mode: fc.constantFrom(...pathNormalizationModes),
    parameters: fc.constantFrom(...pathParametersModes),
    escapedSlashes: fc.constantFrom(...escapedSlashesModes),
  });

  it("has one form: applied again, nothing changes", () => {
    fc.assert(
      fc.property(tricky, any, (path, normalization) => {
        const once = normalized(path, normalization);
        const form = typeof once === "string" ? once : once.kind === "redirect" ? once.path : undefined;
        if (form !== undefined) expect(normalized(form, normalization)).toBe(form);
      }),
      { numRuns: 2_000 },
    );
  });

  it("has no dot segments, backslashes or runs of slashes left that the mode removes", () => {
    const strict: PathNormalizationMode = "decode-and-merge-slashes";
    fc.assert(
      fc.property(tricky, (path) => {
        // A stray "%" keeps the escape behind it as it is.
        fc.pre(!/%(?![0-9a-f]{2})/i.test(path));
        const form = normalized(path, { mode: strict, parameters: "strip" });
        if (typeof form !== "string") return;
        expect(form).toMatch(/^\//);
        expect(form).not.toMatch(/\/\/|\\|%2f|%5c|%2e|;|\/\.{1,2}(?:\/|$)/i);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is the same string when it was canonical", () => {
    const path = "/api/v1/orders/17?expand=items";
    expect(normalized(path, { mode: "decode-and-merge-slashes", parameters: "reject" })).toBe(path);
  });
});
