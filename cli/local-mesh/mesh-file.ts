import { z } from "zod";
import type { Problem } from "../../common/base/problem.ts";
import type { Result } from "../../common/base/result.ts";
import { failed, ok } from "../../common/base/result.ts";
import { checkSchema } from "../../control-plane/resources/check-schema.ts";
import type { FieldPath, FieldProblem } from "../../control-plane/resources/field-problem.ts";
import { below, formatFieldPath } from "../../control-plane/resources/field-problem.ts";
import { meshConfigProblems } from "../../control-plane/resources/mesh-config/read.ts";
import type { MeshConfigInput } from "../../control-plane/resources/mesh-config/schema.ts";
import { meshConfigSchema } from "../../control-plane/resources/mesh-config/schema.ts";
import { parseYaml } from "../../control-plane/resources/yaml.ts";

const name = z
  .string()
  .regex(
    /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
    "must be lower-case letters, digits and dashes (a DNS label)",
  );
const portMessage = "must be a port, 1 to 65535";
const port = z.number().int().min(1, portMessage).max(65535, portMessage);
const labels = z.record(z.string().min(1), z.string());
const serverPort = z.string().regex(/^[1-9]\d{0,4}$/, "must be the port of a Gateway's server");

const accessLog = z.enum(["off", "short", "text", "json"]);

const gatewaySchema = z.strictObject({
  name,
  namespace: name.optional(),
  serviceAccount: name.optional(),
  labels: labels.optional(),
  ports: z.record(serverPort, port).refine((ports) => Object.keys(ports).length > 0, "names no port"),
  accessLog: accessLog.optional(),
});

const replicasMessage = "must be 1 to 50";
const workloadSchema = z.strictObject({
  name,
  service: name.optional(),
  port: port.optional(),
  protocol: z.enum(["http"]).optional(),
  version: z.string().min(1).optional(),
  labels: labels.optional(),
  namespace: name.optional(),
  serviceAccount: name.optional(),
  command: z
    .union([z.string().min(1), z.array(z.string()).min(1)], "must be a text, or a list of texts")
    .optional(),
  folder: z.string().min(1).optional(),
  env: z
    .record(z.string().min(1), z.union([z.string(), z.number(), z.boolean()], "must be a text or a number"))
    .optional(),
  listen: port.optional(),
  accessLog: accessLog.optional(),
  replicas: z.number().int().min(1, replicasMessage).max(50, replicasMessage).optional(),
});

const meshSchema = z.strictObject({
  kind: z.literal("LocalMesh"),
  name,
  namespace: name.optional(),
  config: z.array(z.string().min(1)).optional(),
  gateways: z.array(gatewaySchema).optional(),
  workloads: z.array(workloadSchema).min(1),
  meshConfig: meshConfigSchema.optional(),
  notes: z.string().optional(),
});

/** How a proxy logs requests to standard output. */
export type AccessLog = z.infer<typeof accessLog>;

/** A gateway of the local mesh. `ports`: port of a Gateway resource's server → local port. */
export interface MeshGateway {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: ReadonlyMap<number, number>;
  readonly accessLog: AccessLog;
}

/** A workload of the local mesh, before it is multiplied by `replicas`. */
export interface MeshWorkload {
  readonly name: string;
  /** Absent on a workload that only calls others. */
  readonly service?: { readonly name: string; readonly port: number; readonly protocol: "http" };
  readonly namespace: string;
  readonly serviceAccount: string;
  /** With `app` and `version` filled in. */
  readonly labels: Readonly<Record<string, string>>;
  /** A text goes through the shell, a list does not. Absent: somebody else starts the app. */
  readonly command?: string | readonly string[];
  /** Where the command runs, relative to the mesh file. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** The port at which the app listens, when it cannot be told by PORT. */
  readonly listen?: number;
  /** The sidecar's. */
  readonly accessLog: AccessLog;
  readonly replicas: number;
}

/** A mesh on this machine, as `weft up` reads it (docs/reference/local-mesh.md). */
export interface LocalMesh {
  readonly name: string;
  /** Folders and files with resources, relative to the mesh file. */
  readonly config: readonly string[];
  readonly gateways: readonly MeshGateway[];
  readonly workloads: readonly MeshWorkload[];
  readonly notes?: string;
  /** What holds for the whole mesh, in the form of Istio's MeshConfig. */
  readonly meshConfig?: MeshConfigInput;
}

/** Reads a mesh file; on failure every problem with its line. `file` is only for the messages. */
export function parseMeshFile(text: string, file: string): Result<LocalMesh> {
  const documents = parseYaml(text, file);
  const document = documents[0];
  if (document === undefined || document.value === undefined) {
    return failed([
      { path: "", why: "is empty", hint: "a mesh file begins with kind: LocalMesh", at: { file, line: 1 } },
    ]);
  }
  if (documents.length > 1) {
    const why = "is a second document";
    return failed([{ path: "", why, hint: "a mesh file holds one mesh", at: documents[1]!.start }]);
  }
  const place = ({ path, ...rest }: FieldProblem): Problem => ({
    ...rest,
    path: formatFieldPath(path),
    at: document.locate(path),
  });
  if (document.problems.length > 0) {
    return failed(document.problems.map((problem) => ({ ...problem, path: formatFieldPath(problem.path) })));
  }
  const { problems, value } = checkSchema(meshSchema, document.value);
  const further = value === undefined || problems.length > 0 ? [] : checkNames(value);
  if (value === undefined || problems.length + further.length > 0) {
    return failed([...problems, ...further].map(place));
  }
  return ok(complete(value));
}

type MeshData = z.infer<typeof meshSchema>;

/** What no field can know alone: names that are taken, services that do not agree, a service without a port. */
function checkNames(mesh: MeshData): readonly FieldProblem[] {
  const problems: FieldProblem[] = below(["meshConfig"], meshConfigProblems(mesh.meshConfig ?? {}));
  const at = (path: FieldPath, why: string, hint?: string): FieldProblem =>
    hint === undefined ? { path, why } : { path, why, hint };
  const parts = new Map<string, string>([["control-plane", "the control plane"]]);
  const take = (name: string, path: FieldPath): void => {
    const owner = parts.get(name);
    if (owner !== undefined) problems.push(at(path, `the name ${JSON.stringify(name)} is taken by ${owner}`));
    parts.set(name, `${String(path[0])}[${String(path[1])}]`);
  };
  mesh.gateways?.forEach((gateway, index) => {
    take(gateway.name, ["gateways", index, "name"]);
  });

  const services = new Map<string, { port: number; by: string }>();
  mesh.workloads.forEach((workload, index) => {
    for (const name of instanceNames(workload)) take(name, ["workloads", index, "name"]);
    if (workload.service === undefined) {
      if (workload.port !== undefined) {
        problems.push(
          at(
            ["workloads", index, "port"],
            "is the port of a service, but there is no service",
            "add service: NAME",
          ),
        );
      }
      return;
    }
    if (workload.port === undefined) {
      problems.push(
        at(
          ["workloads", index],
          `service ${workload.service} has no port`,
          "add port: the one its callers use",
        ),
      );
      return;
    }
    const key = `${workload.service}.${workload.namespace ?? mesh.namespace ?? ""}`;
    const known = services.get(key);
    if (known !== undefined && known.port !== workload.port) {
      problems.push(
        at(
          ["workloads", index, "port"],
          `is ${workload.port}, but ${known.by} says that service ${workload.service} has port ${known.port}`,
          "workloads of one service share its port",
        ),
      );
    }
    services.set(key, known ?? { port: workload.port, by: workload.name });
  });
  return problems;
}

/** `product-v1`, or `product-v1-1`, `product-v1-2` … with replicas. */
export function instanceNames(workload: {
  readonly name: string;
  readonly replicas?: number | undefined;
}): readonly string[] {
  const { replicas = 1 } = workload;
  if (replicas === 1) return [workload.name];
  return Array.from({ length: replicas }, (_, index) => `${workload.name}-${index + 1}`);
}

function complete(mesh: MeshData): LocalMesh {
  const namespace = mesh.namespace ?? "default";
  return {
    name: mesh.name,
    config: mesh.config ?? [],
    gateways: (mesh.gateways ?? []).map((gateway) => ({
      name: gateway.name,
      namespace: gateway.namespace ?? namespace,
      serviceAccount: gateway.serviceAccount ?? gateway.name,
      labels: gateway.labels ?? {},
      ports: new Map(Object.entries(gateway.ports).map(([server, local]) => [Number(server), local])),
      accessLog: gateway.accessLog ?? "short",
    })),
    workloads: mesh.workloads.map((workload) => ({
      name: workload.name,
      ...(workload.service !== undefined && workload.port !== undefined
        ? { service: { name: workload.service, port: workload.port, protocol: "http" } }
        : {}),
      namespace: workload.namespace ?? namespace,
      serviceAccount: workload.serviceAccount ?? workload.service ?? workload.name,
      labels: {
        app: workload.service ?? workload.name,
        ...(workload.version === undefined ? {} : { version: workload.version }),
        ...workload.labels,
      },
      ...(workload.command === undefined ? {} : { command: workload.command }),
      folder: workload.folder ?? ".",
      env: Object.fromEntries(Object.entries(workload.env ?? {}).map(([key, value]) => [key, String(value)])),
      ...(workload.listen === undefined ? {} : { listen: workload.listen }),
      accessLog: workload.accessLog ?? "off",
      replicas: workload.replicas ?? 1,
    })),
    ...(mesh.notes === undefined ? {} : { notes: mesh.notes }),
    ...(mesh.meshConfig === undefined ? {} : { meshConfig: mesh.meshConfig }),
  };
}
