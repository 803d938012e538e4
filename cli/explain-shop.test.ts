import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { formatProblem } from "../common/base/problem.ts";
import type { Snapshot } from "../control-plane/snapshot/snapshot.ts";
import { answerExplainQuestion } from "../control-plane/translate/explain-question.ts";
import { formatExplanation } from "./format-explanation.ts";
import { loadResources } from "./load-resources.ts";
import { generateResources } from "./local-mesh/generate-resources.ts";
import { parseMeshFile } from "./local-mesh/mesh-file.ts";
import { planPorts } from "./local-mesh/port-plan.ts";

/** The shop's own resources with the A/B scenario over them, joined as a control plane would. */
let snapshot: Snapshot;

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-explain-"));
  try {
    const parsed = parseMeshFile(readFileSync("examples/shop/mesh.yaml", "utf8"), "mesh.yaml");
    if (!parsed.ok) throw new Error("the shop's mesh file is not valid");
    const plan = planPorts(parsed.value);
    if (!plan.ok) throw new Error("the shop has no port plan");
    for (const [name, text] of generateResources(parsed.value, plan.value))
      writeFileSync(join(folder, name), text);
    const paths = [folder, "examples/shop/config", "examples/shop/scenarios/ab-user.yaml"];
    const loaded = await loadResources("explain", paths, { together: true });
    expect(loaded.problems).toEqual([]);
    snapshot = loaded.snapshot;
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const sidecar = { labels: { app: "cart" } };
const gateway = { kind: "gateway", labels: { istio: "ingressgateway" } };

function explain(asker: object, url: string, headers: object = {}) {
  const answer = answerExplainQuestion(snapshot, { ...asker, url, headers });
  if (!answer.ok) throw new Error(answer.problems.map(formatProblem).join("\n"));
  return answer.value;
}

describe("weft explain", () => {
  it("says for a sidecar which rule takes the request, from which line, and why the other lost", () => {
    const text = formatExplanation(
      explain(sidecar, "http://product:9080/productms/products", { "end-user": "Y" }),
    );
    expect(text.split("\n").map((line) => line.replaceAll(/ {2,}/g, "  "))).toEqual([
      "host  product.default.svc.cluster.local:9080 (by its domain product:9080)",
      "route  others-to-v1  VirtualService/default/product (examples/shop/scenarios/ab-user.yaml:14)",
      "to  outbound|9080|v1|product.default.svc.cluster.local  100 %",
      "",
      "  RULE  WHY  WHERE",
      'lost  user-x-to-v2  header end-user is "Y", wanted exact "X"  VirtualService/default/product (examples/shop/scenarios/ab-user.yaml:8)',
      "chosen  others-to-v1  everything it asks for holds  VirtualService/default/product (examples/shop/scenarios/ab-user.yaml:14)",
      "",
    ]);
  });

  it("asks as a gateway through the same rule", () => {
    const explained = explain(gateway, "http://localhost:8080/productms/products", { "end-user": "X" });
    expect(explained.chosen?.destinations).toEqual([
      { cluster: "outbound|9080|v2|product.default.svc.cluster.local", weight: expect.any(Number), share: 1 },
    ]);
    expect(explained.routes.find(({ name }) => name === "ui")).toMatchObject({
      verdict: "lost",
      why: "path /productms/products does not start with /ui",
    });
  });

  it("knows redirects, prefixes by path, and ports without routes", () => {
    expect(formatExplanation(explain(gateway, "http://localhost/"))).toContain("a redirect");
    expect(explain(sidecar, "http://localhost:15101/api/order/orders").chosen?.name).toBe("order-by-path");
  });

  it("says what was perhaps meant by a host that nobody knows", () => {
    const mistyped = explain(sidecar, "http://prodct:9080/");
    const said = "nobody that this proxy may see is called prodct; did you mean product?";
    expect(mistyped.hint).toBe(said);
    expect(formatExplanation(mistyped)).toContain(`hint   ${said}`);
    expect(explain(sidecar, "http://example.org/").hint).toBe(
      "nobody that this proxy may see is called example.org",
    );
    expect(explain(sidecar, "http://product:9080/").hint).toBeUndefined();
  });
});
