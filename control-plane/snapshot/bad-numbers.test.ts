import { describe, expect, it } from "vitest";
import { formatProblem } from "../../common/base/problem.ts";
import { decodeText } from "../resources/decode-text.ts";
import { buildSnapshot } from "./build.ts";

/** What a person gets wrong with numbers, durations and names: refused with the line, the field and what to do. */

const route = "route: [{ destination: { host: product } }]";

const virtualService = (rule: string, metadata = "name: product") => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { ${metadata} }
spec:
  hosts: [product]
  http:
    - ${rule}
`;

const weighted = (weight: string) =>
  virtualService(`route:
        - { destination: { host: product }, weight: 1 }
        - { destination: { host: product }, weight: ${weight} }`);

const percentage = (value: string) =>
  virtualService(`fault:
        abort: { httpStatus: 500, percentage: { value: ${value} } }
      ${route}`);

/** All problems of a file, those that show in the whole mesh too. */
function problemsOf(text: string): string[] {
  const { resources, problems } = decodeText(text, "mesh.yaml");
  const errors = problems.filter(({ severity }) => severity !== "warning");
  const found = errors.length > 0 ? errors : buildSnapshot(resources).held.flatMap((held) => held.problems);
  return found.map(formatProblem);
}

describe("case 53: a weight", () => {
  it.each([
    ["-1", "-1 is not a weight: it must be from 0 to 2147483647"],
    ["1e308", "1e+308 is not a weight: it must be from 0 to 2147483647"],
    [".nan", ".nan is no value that JSON has (hint: put it in quotes or write a plain number)"],
    [".inf", ".inf is no value that JSON has (hint: put it in quotes or write a plain number)"],
    ["0.5", "must be a whole number, not 0.5"],
    ['"50"', 'must be a number, not "50" (hint: write it without quotes: 50)'],
  ])("%s is refused", (weight, why) => {
    expect(problemsOf(weighted(weight))).toEqual([`mesh.yaml:9: spec.http[0].route[1].weight: ${why}`]);
  });

  it("may be 101: weights are shares of their sum, as in Istio; but the sum must not be 0", () => {
    expect(problemsOf(weighted("101"))).toEqual([]);
    expect(problemsOf(weighted("0").replace("weight: 1 ", "weight: 0 "))).toEqual([
      "mesh.yaml:7: spec.http[0].route: the weights sum to 0, so no destination gets requests (hint: give at least one a weight)",
    ]);
  });
});

describe("case 53: a percentage", () => {
  it.each([
    [
      "0.00009",
      "0.00009 is less than the smallest share that can be drawn, 0.0001 (hint: write 0, or 0.0001 or more)",
    ],
    ["101", "101 is not a percentage: it must be from 0 to 100"],
    ["-0.1", "-0.1 is not a percentage: it must be from 0 to 100"],
    [".nan", ".nan is no value that JSON has (hint: put it in quotes or write a plain number)"],
  ])("%s is refused", (value, why) => {
    expect(problemsOf(percentage(value))).toEqual([
      `mesh.yaml:8: spec.http[0].fault.abort.percentage.value: ${why}`,
    ]);
  });
});

describe("case 53: a duration", () => {
  it.each([
    ["5", "5 has no unit: write 5s or 5ms"],
    ["-1s", '"-1s" is negative (hint: a duration is 0s or more)'],
    ["1e9h", '"1e9h" is not a duration (hint: write it like 5s, 100ms, 1.5s or 1h30m)'],
    ["1000000000h", '"1000000000h" is too long (hint: the longest duration is 596h31m23s)'],
  ])("%s is refused", (timeout, why) => {
    expect(problemsOf(virtualService(`timeout: ${timeout}\n      ${route}`))).toEqual([
      `mesh.yaml:7: spec.http[0].timeout: ${why}`,
    ]);
  });
});

describe("case 53: a port", () => {
  it.each(["0", "65536", "-1"])("%s is refused", (port) => {
    const why = `${port} is not a port: it must be from 1 to 65535`;
    const destination = `route: [{ destination: { host: product, port: { number: ${port} } } }]`;
    expect(problemsOf(virtualService(destination))).toEqual([
      `mesh.yaml:7: spec.http[0].route[0].destination.port.number: ${why}`,
    ]);
    expect(problemsOf(virtualService(`match: [{ port: ${port} }]\n      ${route}`))).toEqual([
      `mesh.yaml:7: spec.http[0].match[0].port: ${why}`,
    ]);
  });
});

describe("case 53: a name", () => {
  it("of a prefix is not empty", () => {
    expect(problemsOf(virtualService(`match: [{ uri: { prefix: "" } }]\n      ${route}`))).toEqual([
      "mesh.yaml:7: spec.http[0].match[0].uri.prefix: an empty prefix would match everything (hint: leave the match out, or write what the text must start with)",
    ]);
  });

  it("of a subset is given once", () => {
    const rule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: product }
spec:
  host: product
  subsets:
    - { name: v1, labels: { version: v1 } }
    - { name: v1, labels: { version: v2 } }
`;
    expect(problemsOf(rule)).toEqual([
      'mesh.yaml:8: spec.subsets[1].name: the subset "v1" is given twice (hint: give each subset its own name)',
    ]);
  });

  it("of a delegate is neither its own, nor missing, nor of one that delegates further", () => {
    expect(problemsOf(virtualService("delegate: { name: product }"))).toEqual([
      "mesh.yaml:7: spec.http[0].delegate: it delegates to itself (hint: name another VirtualService, one without hosts)",
    ]);
    expect(problemsOf(virtualService("delegate: { name: nowhere }"))).toEqual([
      "mesh.yaml:7: spec.http[0].delegate: there is no VirtualService default/nowhere to delegate to (hint: apply VirtualService default/nowhere, without hosts)",
    ]);
    const back = virtualService("delegate: { name: product }", "name: child").replace(
      "  hosts: [product]\n",
      "",
    );
    expect(problemsOf(`${virtualService("delegate: { name: child }")}---\n${back}`)).toEqual([
      "mesh.yaml:14: spec.http[0].delegate: a delegate cannot delegate again (hint: delegation has one level: name the last VirtualService in the first)",
    ]);
  });
});
