import { describe, expect, it } from "vitest";
import { isAuthority } from "./authority.ts";

describe("isAuthority", () => {
  it.each([
    "a",
    "A.b-c_d~",
    "reviews.default.svc.cluster.local",
    "a:1",
    "a:65535",
    "1.2.3.4:80",
    "[::1]",
    "[fe80::1]:443",
    "a.",
  ])("takes %j", (text) => expect(isAuthority(text)).toBe(true));

  it.each([
    "",
    ":80",
    "a:",
    "a:b",
    "a:65536",
    "a:123456",
    "a b",
    "u@a",
    "a/b",
    "a%20",
    "::1",
    "[::1",
    "[]",
    "[1.2.3.4]",
    "[g::]",
    "a,b",
    "é",
    "a\n",
  ])("refuses %j", (text) => expect(isAuthority(text)).toBe(false));
});
