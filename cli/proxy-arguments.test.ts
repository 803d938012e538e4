import { describe, expect, it } from "vitest";
import { addProxyOptions } from "./proxy.ts";
import { proxyOptions, readProxyArguments } from "./proxy-arguments.ts";
import { verbs } from "./verbs.ts";

describe("readProxyArguments", () => {
  it.each(["proxy", "gateway"] as const)("reads each option of weft %s as commander does", async (verb) => {
    const args = proxyOptions[verb].flatMap(({ flags, mayRepeat }, index) => {
      const name = flags.slice(0, flags.indexOf(" "));
      return mayRepeat ? [name, "80=:1", `${name}=81=:2`] : index % 2 === 0 ? [name, "v"] : [`${name}=v`];
    });
    const command = await verbs[verb]!();
    let heard: unknown;
    command.action((options: unknown) => {
      heard = options;
    });
    command.parse(args, { from: "user" });
    expect(readProxyArguments([verb, ...args])).toEqual({
      ...(heard as object),
      kind: verb === "gateway" ? "gateway" : "sidecar",
    });
  });

  it("takes the last of what is given twice, as commander does", () => {
    expect(readProxyArguments(["proxy", "--name", "a", "--name", "b"])).toEqual({
      name: "b",
      kind: "sidecar",
    });
  });

  it.each([
    ["another verb", ["up", "--name", "a"]],
    ["no verb", []],
    ["a question for help", ["proxy", "--name", "a", "--help"]],
    ["an unknown option", ["proxy", "--name", "a", "--nam", "b"]],
    ["an option of the other verb", ["gateway", "--name", "a", "--app", ":1"]],
    ["a missing value", ["proxy", "--name"]],
    ["a missing option", ["proxy", "--namespace", "a"]],
    ["a word too many", ["proxy", "--name", "a", "b"]],
  ])("leaves %s to commander", (_, args) => {
    expect(readProxyArguments(args)).toBeUndefined();
  });
});

describe("addProxyOptions", () => {
  it("demands what is required", async () => {
    const command = addProxyOptions(await verbs["validate"]!(), "proxy");
    expect(command.options.filter(({ mandatory }) => mandatory).map(({ long }) => long)).toEqual(["--name"]);
  });
});
