import { describe, expect, it } from "vitest";
import { formatProblem } from "../../common/base/problem.ts";
import { decodeText } from "../resources/decode-text.ts";
import { buildSnapshot } from "./build.ts";

const services = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: reviews }
spec:
  hosts: [reviews.default.svc.cluster.local]
  resolution: STATIC
  ports: [{ number: 80, name: http }, { number: 90, name: grpc }]
  endpoints: [{ address: 10.0.0.1 }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: any }
spec: { hosts: [any.example.com], ports: [{ number: 80, name: http }] }
`;

describe("who is well", () => {
  it.each([
    [
      "a typing slip",
      "host: review",
      "http: {}",
      "has no service review.default.svc.cluster.local, so it checks nothing (hint: did you mean reviews.default.svc.cluster.local?)",
    ],
    [
      "a port that is not there",
      "host: reviews, port: 81",
      "http: {}",
      "has no port 81, so it checks nothing (hint: its ports are 80, 90)",
    ],
    ["no endpoints", "host: any.example.com", "http: {}", "(resolution NONE), so it checks nothing"],
    [
      "gRPC without HTTP/2",
      "host: reviews",
      "grpc: {}",
      "port 80 of reviews.default.svc.cluster.local is not known to speak HTTP/2",
    ],
  ])("is not found out by a check with %s, and a warning says so", (_title, target, how, expected) => {
    const problems = problemsOf(`${services}---${check("a", target, how)}`);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(expected);
  });

  it("is asked by the oldest of two checks with one target, and the other is told", () => {
    const twice = `${check("a", "host: reviews", "http: {}")}---${check("b", "host: reviews", "tcp: {}")}`;
    expect(problemsOf(`${services}---${twice}`)).toEqual([
      expect.stringContaining("HealthCheck default/a has the same target, is older and decides"),
    ]);
    expect(problemsOf(`${services}---${check("a", "host: reviews, port: 90", "grpc: {}")}`)).toEqual([]);
  });

  it("can't be found out by outlier detection where callers name the address", () => {
    const rule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: any }
spec: { host: any.example.com, trafficPolicy: { outlierDetection: {} } }
`;
    expect(problemsOf(`${services}---${rule}`)).toEqual([expect.stringContaining("so nobody is ejected")]);
  });
});

function check(name: string, target: string, how: string): string {
  return `
apiVersion: weft.dev/v1alpha1
kind: HealthCheck
metadata: { name: ${name} }
spec: { target: { service: { ${target} } }, ${how} }
`;
}

function problemsOf(text: string): string[] {
  const { resources, problems } = decodeText(text, "mesh.yaml");
  expect(problems.filter(({ severity }) => severity !== "warning")).toEqual([]);
  return buildSnapshot(resources).problems.map(formatProblem);
}
