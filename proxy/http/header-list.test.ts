import { describe, expect, it } from "vitest";
import { HeaderList } from "./header-list.ts";

describe("HeaderList", () => {
  it("replaces the first occurrence and drops the others", () => {
    const headers = new HeaderList(["A", "1", "b", "2", "a", "3"]);
    headers.set("a", "4");
    expect(headers.raw).toEqual(["A", "4", "b", "2"]);
  });

  it("reads all values of a name in any case", () => {
    const headers = new HeaderList(["X-Role", "user", "x-role", "admin"]);
    expect(headers.get("x-role")).toBe("user");
    expect(headers.joined("x-role")).toBe("user,admin");
    headers.remove("x-role");
    expect(headers.has("x-role")).toBe(false);
  });

  // U+010D and U+010A end in the octets of CR and LF when they are written as latin1.
  it.each(["a\r\nX: b", "a\n", "a\0", "\u010d\u010aX: b", "\x7f"])(
    "takes no value that would not stay one: %j",
    (value) => {
      expect(() => new HeaderList().add("X", value)).toThrow("unsafe_header");
      expect(() => new HeaderList().set("X", value)).toThrow("unsafe_header");
    },
  );

  it.each(["", "a b", "a:", "a\r\n", "é"])("takes no name that is none: %j", (name) => {
    expect(() => new HeaderList().add(name, "v")).toThrow("unsafe_header");
  });
});
