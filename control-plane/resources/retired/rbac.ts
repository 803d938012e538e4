import type { FieldProblem } from "../field-problem.ts";
import type {
  ConversionProblem,
  Converted,
  ConvertedObject,
  Fields,
  RetiredObject,
} from "./retired-object.ts";
import { appOf, fields, list, securityObject, selecting, unknownFields } from "./retired-object.ts";

/** `ClusterRbacConfig`: where only what is allowed may be done. An AuthorizationPolicy that allows nothing says the same. */
export function convertClusterRbacConfig(config: RetiredObject, rootNamespace: string): Converted {
  const { spec } = config;
  const problems = unknownFields(spec, ["mode", "inclusion", "exclusion"], []).map((problem) => ({
    ...problem,
    from: config,
  }));
  const { mode = "OFF" } = spec;
  const nothing = (namespace: string, app?: string) =>
    securityObject("AuthorizationPolicy", namespace, nameOf("allow-nothing", app), selecting(app));
  const everything = (namespace: string, app?: string) =>
    securityObject("AuthorizationPolicy", namespace, nameOf("allow-everything", app), {
      ...selecting(app),
      rules: [{}],
    });
  const target = (field: "inclusion" | "exclusion", make: typeof nothing): Fields[] => {
    const { namespaces, services } = fields(spec[field]);
    return [
      ...list(namespaces).map((namespace) => make(String(namespace))),
      ...list(services).flatMap((service, index) => {
        const [, namespace] = String(service).split(".");
        const app = appOf(String(service));
        if (app !== undefined && namespace !== undefined) return [make(namespace, app)];
        const why = `${JSON.stringify(service)} is not the full name of a service`;
        problems.push({ path: [field, "services", index], why, from: config });
        return [];
      }),
    ];
  };
  const objects =
    mode === "ON"
      ? [nothing(rootNamespace)]
      : mode === "ON_WITH_INCLUSION"
        ? target("inclusion", nothing)
        : mode === "ON_WITH_EXCLUSION"
          ? [nothing(rootNamespace), ...target("exclusion", everything)]
          : [];
  if (!["OFF", "ON", "ON_WITH_INCLUSION", "ON_WITH_EXCLUSION"].includes(String(mode)))
    problems.push({ path: ["mode"], why: `${JSON.stringify(mode)} is not a mode`, from: config });
  return { objects: objects.map((object) => ({ object, from: config })), problems };
}

/** Each binding with the rules of its role: one AuthorizationPolicy for each rule and service. */
export function convertBindings(
  roles: readonly RetiredObject[],
  bindings: readonly RetiredObject[],
): Converted {
  const objects: ConvertedObject[] = [];
  const problems: ConversionProblem[] = [];
  const used = new Set<RetiredObject>();
  for (const binding of bindings) {
    const roleName = fields(binding.spec["roleRef"])["name"] ?? binding.spec["role"];
    const role = roles.find(({ namespace, name }) => namespace === binding.namespace && name === roleName);
    if (role === undefined) {
      const why = `namespace ${binding.namespace} has no ServiceRole ${JSON.stringify(roleName)} here`;
      const hint = "a role and its bindings are converted together: put them into one file";
      problems.push({ path: ["roleRef", "name"], why, hint, from: binding });
      continue;
    }
    used.add(role);
    const found: FieldProblem[] = [
      ...unknownFields(binding.spec, ["subjects", "roleRef", "role", "mode"], []),
    ];
    const from = sourcesOf(binding, found);
    const ofRole: FieldProblem[] = [];
    for (const [index, rule] of list(role.spec["rules"]).map(fields).entries()) {
      for (const app of servicesOf(rule, index, ofRole)) {
        const name = [
          binding.name,
          ...(index === 0 ? [] : [String(index)]),
          ...(app === undefined ? [] : [app]),
        ].join("-");
        const spec = { ...selecting(app), action: "ALLOW", rules: [ruleOf(rule, index, from, ofRole)] };
        const object = securityObject("AuthorizationPolicy", binding.namespace, name, spec);
        objects.push({
          object: binding.spec["mode"] === "PERMISSIVE" ? onlyTried(object) : object,
          from: binding,
        });
      }
    }
    problems.push(...found.map((problem) => ({ ...problem, from: binding })));
    problems.push(...ofRole.map((problem) => ({ ...problem, from: role })));
  }
  for (const role of roles.filter((one) => !used.has(one)))
    problems.push({
      path: [],
      why: "is bound to nobody here, so nothing is left of it",
      severity: "warning",
      from: role,
    });
  return { objects, problems };
}

function nameOf(name: string, app: string | undefined): string {
  return app === undefined ? name : `${name}-${app}`;
}

function onlyTried(object: Fields): Fields {
  return {
    ...object,
    metadata: { ...fields(object["metadata"]), annotations: { "istio.io/dry-run": "true" } },
  };
}

interface From {
  readonly source?: Fields;
  readonly when: readonly Fields[];
}

function sourcesOf(binding: RetiredObject, problems: FieldProblem[]): readonly From[] {
  return list(binding.spec["subjects"]).map((subject, index): From => {
    const { user, properties, ...others } = fields(subject);
    problems.push(...unknownFields(others, ["principals", "namespaces"], ["subjects", index]));
    const source: Record<string, unknown> = { ...others };
    const when: Fields[] = [];
    if (typeof user === "string" && user !== "*") source["principals"] = [user];
    for (const [key, value] of Object.entries(fields(properties))) {
      const values = [value].flat();
      const field = sourceFields.get(key);
      if (field !== undefined) source[field] = values;
      else if (isCondition(key)) when.push({ key, values });
      else problems.push({ path: ["subjects", index, "properties", key], why: "has no successor" });
    }
    return { ...(Object.keys(source).length === 0 ? {} : { source }), when };
  });
}

const sourceFields: ReadonlyMap<string, string> = new Map([
  ["source.principal", "principals"],
  ["source.namespace", "namespaces"],
  ["source.ip", "ipBlocks"],
  ["request.auth.principal", "requestPrincipals"],
]);

function isCondition(key: string): boolean {
  return /^(?:request\.(?:headers\[|auth\.)|destination\.(?:ip|port)$|connection\.sni$)/.test(key);
}

function servicesOf(rule: Fields, index: number, problems: FieldProblem[]): readonly (string | undefined)[] {
  const services = list(rule["services"]);
  return services.flatMap((service, at): (string | undefined)[] => {
    if (service === "*") return [undefined];
    const app = appOf(String(service));
    if (app !== undefined) return [app];
    const why = `${JSON.stringify(service)} is a pattern, which selects no workloads`;
    problems.push({ path: ["rules", index, "services", at], why, hint: "name the services" });
    return [];
  });
}

function ruleOf(rule: Fields, index: number, from: readonly From[], problems: FieldProblem[]): Fields {
  const known = [
    "services",
    "methods",
    "notMethods",
    "paths",
    "notPaths",
    "hosts",
    "notHosts",
    "ports",
    "constraints",
  ];
  problems.push(...unknownFields(rule, known, ["rules", index]));
  const operation: Record<string, unknown> = {};
  for (const name of ["methods", "notMethods", "paths", "notPaths", "hosts", "notHosts"]) {
    const values = list(rule[name]);
    if (values.length > 0 && !(values.length === 1 && values[0] === "*" && !name.startsWith("not")))
      operation[name] = values;
  }
  const ports = list(rule["ports"]);
  if (ports.length > 0) operation["ports"] = ports.map(String);
  const constraints = list(rule["constraints"]).flatMap((constraint, at) => {
    const { key, values } = fields(constraint);
    if (typeof key === "string" && isCondition(key)) return [{ key, values }];
    problems.push({
      path: ["rules", index, "constraints", at, "key"],
      why: `${JSON.stringify(key)} has no successor`,
    });
    return [];
  });
  const conditions = from.map(({ when }) => when);
  // A condition holds for the whole rule, so subjects with different ones can't share it.
  if (conditions.some((when) => JSON.stringify(when) !== JSON.stringify(conditions[0])))
    problems.push({
      path: ["rules", index],
      why: "is bound to subjects with different conditions",
      hint: "bind each on its own",
    });
  const when = [...constraints, ...(conditions[0] ?? [])];
  const isForAll = from.some(({ source }) => source === undefined);
  return {
    ...(isForAll ? {} : { from: from.map(({ source }) => ({ source })) }),
    ...(Object.keys(operation).length === 0 ? {} : { to: [{ operation }] }),
    ...(when.length === 0 ? {} : { when }),
  };
}
