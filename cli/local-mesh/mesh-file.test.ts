import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { formatProblem } from "../../common/base/problem.ts";
import { parseMeshFile } from "./mesh-file.ts";

function problemsOf(text: string): readonly string[] {
  const parsed = parseMeshFile(text, "mesh.yaml");
  return parsed.ok ? [] : parsed.problems.map(formatProblem);
}

const smallest = `kind: LocalMesh
name: m
workloads:
  - { name: a }
`;

describe("parseMeshFile", () => {
  it.each(["shop", "hello"])("it reads the example %s", (name) => {
    const file = `examples/${name}/mesh.yaml`;
    expect(parseMeshFile(readFileSync(file, "utf8"), file)).toMatchObject({ ok: true, value: { name } });
  });

  it("it fills in what the author may leave out", () => {
    const parsed = parseMeshFile(
      `${smallest}  - { name: b-v2, service: b, version: v2, port: 80, env: { N: 1 } }\n`,
      "mesh.yaml",
    );
    expect(parsed).toMatchObject({
      ok: true,
      value: {
        config: [],
        gateways: [],
        workloads: [
          { name: "a", namespace: "default", serviceAccount: "a", labels: { app: "a" }, replicas: 1 },
          {
            service: { name: "b", port: 80, protocol: "http" },
            serviceAccount: "b",
            labels: { app: "b", version: "v2" },
            env: { N: "1" },
          },
        ],
      },
    });
  });

  it.each([
    ["", ["mesh.yaml:1: is empty (hint: a mesh file begins with kind: LocalMesh)"]],
    [
      smallest.replace("LocalMesh", "Mesh"),
      ['mesh.yaml:1: kind: "Mesh" is not one of the choices (hint: one of LocalMesh)'],
    ],
    [
      `${smallest}worklaods: []\n`,
      ['mesh.yaml:5: worklaods: is not a known field (hint: did you mean "workloads"?)'],
    ],
    [
      smallest.replace("name: a", "nam: a"),
      ['mesh.yaml:4: workloads[0].nam: is not a known field (hint: did you mean "name"?)'],
    ],
    [
      `${smallest}  - { name: a }\n`,
      ['mesh.yaml:5: workloads[1].name: the name "a" is taken by workloads[0]'],
    ],
    [
      `${smallest}  - { name: b, service: s }\n`,
      ["mesh.yaml:5: workloads[1]: service s has no port (hint: add port: the one its callers use)"],
    ],
    [
      `${smallest}  - { name: b, service: s, port: 80 }\n  - { name: c, service: s, port: 81 }\n`,
      [
        "mesh.yaml:6: workloads[2].port: is 81, but b says that service s has port 80 (hint: workloads of one service share its port)",
      ],
    ],
    [
      `${smallest}  - { name: b, listen: 99999 }\n`,
      ["mesh.yaml:5: workloads[1].listen: must be a port, 1 to 65535"],
    ],
    [
      `${smallest}  - { name: b, command: {} }\n`,
      ["mesh.yaml:5: workloads[1].command: must be a text, or a list of texts"],
    ],
    [
      `${smallest}gateways:\n  - { name: g, ports: { http: 80 } }\n`,
      ["mesh.yaml:6: gateways[0].ports.http: must be the port of a Gateway's server"],
    ],
  ])("it names every problem with its place (case %#)", (text, expected) => {
    expect(problemsOf(text)).toEqual(expected);
  });

  it("it survives an alias bomb and a second document", () => {
    const bomb = `kind: &a [x,x,x,x,x,x,x,x,x,x]\nname: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nworkloads: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nconfig: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\nnotes: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n`;
    expect(problemsOf(bomb).join("\n")).toMatch(/aliases add more than/);
    expect(problemsOf(`${smallest}---\n${smallest}`)).toEqual([
      "mesh.yaml:6: is a second document (hint: a mesh file holds one mesh)",
    ]);
  });
});
