import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { complaintAboutNode } from "./node-version.ts";

describe("complaintAboutNode", () => {
  it.each(["20.20.2", "22.18.9", "8.0.0"])("complains of %s", (version) => {
    expect(complaintAboutNode(version)).toContain(version);
  });

  it.each(["22.19.0", "24.0.0", "26.10.0"])("is content with %s", (version) => {
    expect(complaintAboutNode(version)).toBeUndefined();
  });

  it("asks for what package.json asks for", () => {
    const { engines } = JSON.parse(readFileSync("package.json", "utf8")) as { engines: { node: string } };
    const oldest = engines.node.replace(">=", "");
    expect(complaintAboutNode(oldest)).toBeUndefined();
    const [major, minor] = oldest.split(".").map(Number);
    expect(complaintAboutNode(`${major}.${minor! - 1}.0`)).toContain(`${major}.${minor} or newer`);
  });
});
