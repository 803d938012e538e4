import { describe, expect, it } from "vitest";
import { decodeText } from "../resources/decode-text.ts";
import type { CompiledPeerAuthentication } from "../resources/peer-authentication/compiled.ts";
import type { Resource } from "../resources/resource.ts";
import {
  indexPeerAuthentications,
  mutualTlsMode,
  peerAuthenticationProblems,
} from "./peer-authentications.ts";

/** `namespace/name[?label=value] MODE [port:MODE …]`, oldest first. */
function policies(...lines: readonly string[]): Resource<CompiledPeerAuthentication>[] {
  return lines.map((line, index) => {
    const [reach = "", mode, ...ports] = line.split(" ");
    const [, namespace, name, key, value] = /^([^/]+)\/([^?]+)(?:\?(\w+)=(\w+))?$/.exec(reach)!;
    const spec = {
      ...(key && { selector: { matchLabels: { [key]: value } } }),
      mtls: { mode },
      ...(ports.length > 0 && {
        portLevelMtls: Object.fromEntries(
          ports.map((port) => port.split(":")).map(([n, m]) => [n, { mode: m }]),
        ),
      }),
    };
    const object = {
      apiVersion: "security.istio.io/v1",
      kind: "PeerAuthentication",
      metadata: { name, namespace },
      spec,
    };
    const { resources, problems } = decodeText(JSON.stringify(object), "a.yaml");
    expect(problems).toEqual([]);
    return { ...resources[0]!, createdAt: index } as Resource<CompiledPeerAuthentication>;
  });
}

function modeOf(lines: readonly string[], labels: Readonly<Record<string, string>>, port = 8080) {
  const index = indexPeerAuthentications(policies(...lines));
  return mutualTlsMode(index, { namespace: "shop", labels }, [port], "istio-system");
}

describe("the mode of a port", () => {
  const mesh = "istio-system/default STRICT";
  // covers PeerAuthentication mtls.mode, selector.matchLabels{}, portLevelMtls{}.mode
  it.each([
    ["is permissive when nobody says anything", [], "permissive"],
    ["is the mesh's", [mesh], "strict"],
    ["is the namespace's before the mesh's", [mesh, "shop/default DISABLE"], "disable"],
    [
      "is the workload's before the namespace's",
      ["shop/default STRICT", "shop/a?app=review PERMISSIVE"],
      "permissive",
    ],
    [
      "is the namespace's where the workload's is unset",
      ["shop/default DISABLE", "shop/a?app=review UNSET"],
      "disable",
    ],
    ["is the mesh's where the namespace's is unset", [mesh, "shop/default UNSET"], "strict"],
    ["is the port's before all", [mesh, "shop/a?app=review STRICT 8080:DISABLE"], "disable"],
    ["is the workload's for other ports", ["shop/a?app=review STRICT 9090:DISABLE"], "strict"],
    ["is the workload's where the port's is unset", ["shop/a?app=review STRICT 8080:UNSET"], "strict"],
    ["is the older one's of two", ["shop/a?app=review STRICT", "shop/b?app=review DISABLE"], "strict"],
    ["does not come from other workloads", ["shop/a?app=rating STRICT"], "permissive"],
    ["does not come from other namespaces", ["bank/default STRICT"], "permissive"],
    [
      "does not come from a selector in the root namespace",
      ["istio-system/a?app=review STRICT"],
      "permissive",
    ],
  ])("%s", (_title, lines, expected) => {
    expect(modeOf(lines, { app: "review" })).toBe(expected);
  });

  it("stays the same index while no policy changes", () => {
    const resources = policies(mesh);
    const index = indexPeerAuthentications(resources);
    expect(indexPeerAuthentications([...resources], index)).toBe(index);
  });

  it("is told where two policies have the same reach", () => {
    const both = policies("shop/a STRICT", "shop/b DISABLE", "shop/c?app=review STRICT");
    expect(peerAuthenticationProblems(both).map(({ why }) => why)).toEqual([
      "PeerAuthentication shop/a is for all of namespace shop too, is older and decides",
    ]);
  });
});
