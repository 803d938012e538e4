import type { FieldPath, FieldProblem } from "../field-problem.ts";
import { below } from "../field-problem.ts";
import { validateExportTo } from "../fields/export-to.ts";
import { authoritiesOf } from "../fields/header-operations.ts";
import type { SpecContext } from "../kind.ts";
import type { HttpRule, VirtualServiceSpec } from "./schema.ts";
import { validateTcpRule } from "./tcp.ts";
import { validateTlsRule } from "./tls.ts";
import { validateAction } from "./validate-action.ts";
import { validateMirrors, validateRoute } from "./validate-route.ts";

/** What the fields of a VirtualService say together: Istio's rules, each with a hint. */
export function validateVirtualService(spec: VirtualServiceSpec, context: SpecContext): FieldProblem[] {
  const isDelegate = (spec.hosts ?? []).length === 0;
  return [
    ...validateHosts(spec, isDelegate),
    ...validateExportTo(spec.exportTo, context.namespace),
    ...(spec.tls ?? []).flatMap((rule, index) =>
      below(["tls", index], validateTlsRule(rule, spec.hosts ?? [], context.namespace)),
    ),
    ...(spec.tcp ?? []).flatMap((rule, index) => below(["tcp", index], validateTcpRule(rule))),
    ...(spec.http ?? []).flatMap((rule, index) => below(["http", index], validateRule(rule, isDelegate))),
  ];
}

function validateHosts(spec: VirtualServiceSpec, isDelegate: boolean): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const report = (path: FieldPath, why: string, hint: string) => problems.push({ path, why, hint });
  const seen = new Set<string>();
  const reachesMesh =
    spec.gateways === undefined || spec.gateways.length === 0 || spec.gateways.includes("mesh");
  (spec.hosts ?? []).forEach((host, index) => {
    if (seen.has(host.toLowerCase()))
      report(["hosts", index], `${JSON.stringify(host)} is given twice`, "remove one");
    seen.add(host.toLowerCase());
    if (host === "*" && reachesMesh) {
      report(
        ["hosts", index],
        '"*" is not allowed on the mesh gateway',
        "name gateways, or the hosts that are meant",
      );
    }
  });
  if (isDelegate && (spec.gateways ?? []).length > 0) {
    report(
      ["gateways"],
      "a VirtualService without hosts is a delegate and cannot name gateways",
      "give hosts, or remove gateways",
    );
  }
  const connections = (["tls", "tcp"] as const).filter((field) => (spec[field] ?? []).length > 0);
  if ((spec.http ?? []).length === 0 && connections.length === 0)
    report(
      [spec.tcp ? "tcp" : spec.tls ? "tls" : "http"],
      "has no rules",
      "give at least one http, tls or tcp rule",
    );
  if (isDelegate)
    for (const field of connections)
      report([field], "a delegate has http rules only", `give hosts, or remove ${field}`);
  return problems;
}

function validateRule(rule: HttpRule, isDelegate: boolean): FieldProblem[] {
  return [
    ...validateAction(rule, isDelegate),
    ...validateRoute(rule),
    ...validateMirrors(rule),
    ...validateMatches(rule),
    ...validateAuthority(rule),
    ...validateFaultShare(rule),
  ];
}

function validateMatches(rule: HttpRule): FieldProblem[] {
  return (rule.match ?? []).flatMap((match, index): FieldProblem[] => {
    if (!match.ignoreUriCase || match.uri?.regex === undefined) return [];
    const path = ["match", index, "ignoreUriCase"];
    return [
      { path, severity: "warning", why: "has no effect on a regex", hint: "begin the regex with (?i)" },
    ];
  });
}

/** The authority may be set once only: by rewrite.authority, or by setting Host or :authority. */
function validateAuthority(rule: HttpRule): FieldProblem[] {
  const hint = "keep one, best rewrite.authority";
  const set = authoritiesOf(rule.headers);
  const extra = rule.rewrite?.authority === undefined ? set.slice(1) : set;
  const twice = extra.map(({ path }) => ({
    path: ["headers", ...path],
    why: "sets the authority a second time",
    hint,
  }));
  const perDestination = (rule.route ?? []).flatMap((route, index) =>
    authoritiesOf(route.headers).map(({ path }) => ({
      path: ["route", index, "headers", ...path],
      why: "setting the authority for one destination is not supported yet",
      hint: "use rewrite.authority of the rule",
    })),
  );
  return [...twice, ...perDestination];
}

function validateFaultShare(rule: HttpRule): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const hint = "add percentage: { value: 100 }";
  const { delay, abort } = rule.fault ?? {};
  if (delay && delay.percentage === undefined && delay.percent === undefined) {
    problems.push({
      path: ["fault", "delay"],
      severity: "warning",
      why: "has no percentage, so no request is delayed",
      hint,
    });
  }
  if (abort && abort.percentage === undefined) {
    problems.push({
      path: ["fault", "abort"],
      severity: "warning",
      why: "has no percentage, so no request is aborted",
      hint,
    });
  }
  return problems;
}
