import { describe, expect, it } from "vitest";
import { formatProblem } from "../../common/base/problem.ts";
import { decodeText } from "../resources/decode-text.ts";
import { buildSnapshot } from "../snapshot/build.ts";
import { answerExplainQuestion } from "./explain-question.ts";

const gateway = (name: string, ...ports: readonly number[]) => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: ${name} }
spec:
  selector: { edge: ${name} }
  servers: [${ports.map((port) => `{ port: { number: ${port}, name: http${port}, protocol: HTTP }, hosts: ["*"] }`).join(", ")}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: ["*"]
  gateways: [${name}]
  http: [{ redirect: { uri: /${name} } }]
`;
const service = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: reviews }
spec:
  hosts: [reviews.default.svc.cluster.local]
  resolution: STATIC
  ports: [{ number: 9080, name: http, protocol: HTTP }, { number: 9081, name: http2, protocol: HTTP }]
`;
const secret = service.replaceAll("reviews", "secret").replace("spec:", "spec:\n  exportTo: [elsewhere]");
const { resources, problems } = decodeText(
  [gateway("one", 80), gateway("two", 8080, 8443), service, secret].join("---"),
  "a.yaml",
);
const snapshot = buildSnapshot(resources);

function ask(question: unknown): string {
  const answer = answerExplainQuestion(snapshot, question);
  return answer.ok
    ? (answer.value.chosen?.source?.name ?? "nothing")
    : answer.problems.map(formatProblem).join("\n");
}

describe("a question about a request", () => {
  it("takes a gateway's only port for any other, because a gateway may be bound elsewhere", () => {
    expect(problems).toEqual([]);
    expect(ask({ url: "http://a:15000/", kind: "gateway", labels: { edge: "one" } })).toBe("one");
  });

  it("needs a port where a gateway has several, and takes that of the URL", () => {
    const asker = { kind: "gateway", labels: { edge: "two" } };
    expect(ask({ url: "http://a:8443/", ...asker })).toBe("two");
    expect(ask({ url: "http://a/", port: 8080, ...asker })).toBe("two");
    expect(ask({ url: "http://a/", ...asker })).toBe(
      "port: no Gateway opens port 80 for a gateway with these labels (hint: its ports are 8080, 8443; put one of them into the URL)",
    );
  });

  it("names the labels that Gateways select", () => {
    expect(ask({ url: "http://a/", kind: "gateway", labels: { edge: "three" } })).toBe(
      "labels: no Gateway selects these labels (hint: Gateways select edge=one or edge=two)",
    );
  });

  it("says that a host is unknown, and what is near or why it is kept out", () => {
    const hintOf = (question: object) => {
      const answer = answerExplainQuestion(snapshot, question);
      return answer.ok ? answer.value.hint : undefined;
    };
    const unknown = "nobody that this proxy may see is called";
    expect(hintOf({ url: "http://revievs/" })).toBe(`${unknown} revievs; did you mean reviews?`);
    expect(hintOf({ url: "http://www.example.com/" })).toBe(`${unknown} www.example.com`);
    expect(hintOf({ url: "http://secret.default:9080/", namespace: "shop" })).toBe(
      `${unknown} secret.default; secret.default.svc.cluster.local (ServiceEntry default/secret) has no HTTP port, or exportTo or a Sidecar keeps it from namespace shop`,
    );
    expect(hintOf({ url: "http://reviews/" })).toBeUndefined();
  });

  it("takes a host without a port for its first HTTP port, as a request would", () => {
    const answer = answerExplainQuestion(snapshot, { url: "http://Reviews/" });
    expect(answer.ok && answer.value.chosen?.destinations[0]?.cluster).toBe(
      "outbound|9080||reviews.default.svc.cluster.local",
    );
  });

  it.each([
    [[], "url"],
    ["text", "url"],
    [undefined, "url"],
    [{ url: 1 }, "url"],
    [{ url: "http://a/", port: "80" }, "port"],
    [{ url: "http://a/", port: 1e9 }, "port"],
    [{ url: "http://a/", kind: "__proto__" }, "kind"],
    [{ url: "http://a/", labels: ["a"] }, "labels"],
    [{ url: "http://a/", headers: { a: [1] } }, "headers.a"],
    [{ url: "http://a/", headers: JSON.parse('{"__proto__": {"a": "b"}}') }, "headers.__proto__"],
  ])("says what is wrong with %j", (question, path) => {
    expect(ask(question)).toMatch(new RegExp(`^${path}`));
  });
});
