import { isIP } from "node:net";
import { closestName } from "../../../common/base/closest.ts";
import type { FieldPath, FieldProblem } from "../field-problem.ts";
import { validateExportTo } from "../fields/export-to.ts";
import type { SpecContext } from "../kind.ts";
import { servicePortProtocol } from "./compile.ts";
import type { ServiceEntrySpec } from "./schema.ts";

export function validateServiceEntry(spec: ServiceEntrySpec, context: SpecContext): FieldProblem[] {
  return [
    ...validatePorts(spec),
    ...validateResolution(spec),
    ...validateEndpoints(spec),
    ...validateSelector(spec),
    ...validateExportTo(spec.exportTo, context.namespace, true),
  ];
}

function validatePorts(spec: ServiceEntrySpec): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const names = new Set<string>();
  const numbers = new Set<number>();
  const ports = spec.ports ?? [];
  ports.forEach((port, index) => {
    const twice = (field: "name" | "number") =>
      problems.push({
        path: ["ports", index, field],
        why: `${JSON.stringify(port[field])} is given twice`,
        hint: "ports differ in name and number",
      });
    if (names.has(port.name)) twice("name");
    if (numbers.has(port.number)) twice("number");
    names.add(port.name);
    numbers.add(port.number);
    if (port.protocol === undefined && servicePortProtocol(port) === "tcp" && !port.name.startsWith("tcp")) {
      const hint = "add protocol: HTTP when it speaks HTTP, else protocol: TCP";
      problems.push({
        path: ["ports", index],
        severity: "warning",
        why: "has no protocol, so it is taken as TCP",
        hint,
      });
    }
  });
  const opaque = ports.findIndex((port) =>
    ["tcp", "udp", "mongo", "redis", "mysql"].includes(servicePortProtocol(port)),
  );
  if (opaque !== -1 && spec.hosts.length > 1 && (spec.resolution ?? "NONE") !== "NONE") {
    const why = "several hosts cannot share a port whose traffic does not name its host";
    problems.push({ path: ["ports", opaque], why, hint: "write one ServiceEntry per host" });
  }
  return problems;
}

function validateResolution(spec: ServiceEntrySpec): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const report = (path: FieldPath, why: string, hint: string) => problems.push({ path, why, hint });
  const resolution = spec.resolution ?? "NONE";
  const endpoints = spec.endpoints ?? [];
  if ((resolution === "NONE" || resolution === "DYNAMIC_DNS") && endpoints.length > 0) {
    report(["endpoints"], `has no use with resolution ${resolution}`, "set resolution to STATIC or DNS");
  }
  if (resolution === "DNS_ROUND_ROBIN" && endpoints.length > 1) {
    report(["endpoints"], "DNS_ROUND_ROBIN takes one endpoint at most", "give one, or use resolution DNS");
  }
  if (resolution === "DYNAMIC_DNS") {
    spec.hosts.forEach((host, index) => {
      if (!host.startsWith("*"))
        report(["hosts", index], "DYNAMIC_DNS is for wildcard hosts", "use resolution DNS");
    });
    (spec.ports ?? []).forEach((port, index) => {
      const protocol = servicePortProtocol(port);
      if (!["http", "http2", "grpc", "grpc-web", "https", "tls"].includes(protocol))
        report(["ports", index], `${protocol} names no host that could be resolved`, "use resolution NONE");
    });
    if (spec.workloadSelector !== undefined)
      report(["workloadSelector"], "has no use with resolution DYNAMIC_DNS", "set resolution to STATIC");
  }
  if (resolution === "DNS" || resolution === "DNS_ROUND_ROBIN") {
    (spec.addresses ?? []).forEach((address, index) => {
      if (address.includes("/"))
        report(["addresses", index], "a range needs resolution NONE or STATIC", "give single addresses");
    });
    if (endpoints.length === 0 && spec.workloadSelector === undefined) {
      spec.hosts.forEach((host, index) => {
        if (host.startsWith("*"))
          report(["hosts", index], "a wildcard cannot be resolved", "give endpoints, or resolution NONE");
      });
    }
  }
  return problems;
}

function validateEndpoints(spec: ServiceEntrySpec): FieldProblem[] {
  const portNames = (spec.ports ?? []).map((port) => port.name);
  return (spec.endpoints ?? []).flatMap((endpoint, index): FieldProblem[] => {
    const problems: FieldProblem[] = [];
    const path = ["endpoints", index];
    if (!endpoint.address) {
      problems.push({
        path: [...path, "address"],
        why: "is missing",
        hint: "give an IP address, or a host name with resolution DNS",
      });
    } else if (spec.resolution === "STATIC" && isIP(endpoint.address) === 0) {
      const why = `${JSON.stringify(endpoint.address)} is not an IP address`;
      problems.push({
        path: [...path, "address"],
        why,
        hint: "resolution STATIC takes addresses; use DNS for host names",
      });
    }
    for (const name of Object.keys(endpoint.ports ?? {})) {
      if (portNames.includes(name)) continue;
      const closest = closestName(name, portNames);
      const hint = closest
        ? `did you mean ${JSON.stringify(closest)}?`
        : `ports of the service: ${portNames.join(", ")}`;
      problems.push({ path: [...path, "ports", name], why: "is not a port of this ServiceEntry", hint });
    }
    return problems;
  });
}

function validateSelector(spec: ServiceEntrySpec): FieldProblem[] {
  if (spec.workloadSelector === undefined) return [];
  const problems: FieldProblem[] = [];
  if (spec.endpoints !== undefined) {
    problems.push({
      path: ["workloadSelector"],
      why: "cannot stand beside endpoints",
      hint: "keep one of them",
    });
  }
  if (Object.keys(spec.workloadSelector.labels ?? {}).length === 0) {
    problems.push({
      path: ["workloadSelector"],
      severity: "warning",
      why: "has no labels, so it selects every WorkloadEntry of the namespace",
      hint: "give labels",
    });
  }
  return problems;
}
