import type { FieldProblem } from "../field-problem.ts";
import type { Converted, ConvertedObject, Fields, RetiredObject } from "./retired-object.ts";
import { appOf, fields, isFields, list, securityObject, selecting, unknownFields } from "./retired-object.ts";

/**
 * `Policy` and `MeshPolicy` of authentication.istio.io: how callers prove who they are, and whose tokens are believed. A token was
 * asked for unless `originIsOptional`; today that is for an AuthorizationPolicy to say.
 */
export function convertAuthentication(policy: RetiredObject, rootNamespace: string): Converted {
  const { spec, name } = policy;
  const namespace = policy.kind === "MeshPolicy" ? rootNamespace : policy.namespace;
  const problems: FieldProblem[] = [
    ...unknownFields(
      spec,
      ["targets", "peers", "peerIsOptional", "origins", "originIsOptional", "principalBinding"],
      [],
    ),
  ];
  const targets = list(spec["targets"]).map((target, index) => {
    const app = appOf(String(fields(target)["name"] ?? ""));
    if (app === undefined)
      problems.push({ path: ["targets", index, "name"], why: "is not the name of a service" });
    problems.push(...unknownFields(fields(target), ["name"], ["targets", index]));
    return app;
  });
  const objects: ConvertedObject[] = [];
  const add = (object: Fields) => objects.push({ object, from: policy });
  for (const app of targets.length === 0 ? [undefined] : targets) {
    const own = app === undefined ? name : `${name}-${app}`;
    const mode = mtlsMode(spec, problems);
    add(securityObject("PeerAuthentication", namespace, own, { ...selecting(app), mtls: { mode } }));
    const origins = list(spec["origins"]).map((origin) => fields(fields(origin)["jwt"]));
    if (origins.length === 0) continue;
    const jwtRules = origins.map((jwt, index) => jwtRule(jwt, ["origins", index, "jwt"], problems));
    add(securityObject("RequestAuthentication", namespace, own, { ...selecting(app), jwtRules }));
    if (spec["originIsOptional"] === true) continue;
    const operation = triggered(origins, problems);
    const rule = {
      from: [{ source: { notRequestPrincipals: ["*"] } }],
      ...(Object.keys(operation).length === 0 ? {} : { to: [{ operation }] }),
    };
    add(
      securityObject("AuthorizationPolicy", namespace, `${own}-token`, {
        ...selecting(app),
        action: "DENY",
        rules: [rule],
      }),
    );
  }
  return { objects, problems: problems.map((problem) => ({ ...problem, from: policy })) };
}

/** Without peers nobody had to prove anything; `mtls` without a mode, or null, meant STRICT. */
function mtlsMode(spec: Fields, problems: FieldProblem[]): string {
  const [peer, ...others] = list(spec["peers"]);
  if (others.length > 0)
    problems.push({ path: ["peers", 1], why: "is a second way, which there is none of" });
  if (peer === undefined) return "DISABLE";
  if (!isFields(peer) || !("mtls" in peer)) {
    problems.push({ path: ["peers", 0], why: "is not mtls, the only way that is left" });
    return "STRICT";
  }
  const mode = fields(peer["mtls"])["mode"];
  return mode === "PERMISSIVE" || spec["peerIsOptional"] === true ? "PERMISSIVE" : "STRICT";
}

function jwtRule(jwt: Fields, path: FieldProblem["path"], problems: FieldProblem[]): Fields {
  const known = ["issuer", "audiences", "jwksUri", "jwks", "jwtHeaders", "jwtParams", "triggerRules"];
  problems.push(...unknownFields(jwt, known, path));
  const { issuer, audiences, jwksUri, jwks, jwtHeaders, jwtParams } = jwt;
  return {
    issuer,
    ...(audiences === undefined ? {} : { audiences }),
    ...(jwksUri === undefined ? {} : { jwksUri }),
    ...(jwks === undefined ? {} : { jwks }),
    ...(jwtHeaders === undefined ? {} : { fromHeaders: list(jwtHeaders).map((name) => ({ name })) }),
    ...(jwtParams === undefined ? {} : { fromParams: jwtParams }),
  };
}

/** For which paths a token was asked for. Only one set of rules can be said in one policy. */
function triggered(origins: readonly Fields[], problems: FieldProblem[]): Fields {
  const sets = origins.map((jwt) => list(jwt["triggerRules"]).map(fields));
  const [first = []] = sets;
  const [rule, ...others] = first;
  if (others.length > 0 || sets.some((set) => JSON.stringify(set) !== JSON.stringify(first))) {
    problems.push({ path: ["origins"], why: "has triggerRules that differ, which one policy cannot say" });
    return {};
  }
  if (rule === undefined) return {};
  const texts = (name: string) =>
    list(rule[name]).map((match, index) => {
      const { exact, prefix, suffix } = fields(match);
      if (typeof exact === "string") return exact;
      if (typeof prefix === "string") return `${prefix}*`;
      if (typeof suffix === "string") return `*${suffix}`;
      const why = "is a regex, which policies do not know";
      problems.push({ path: ["origins", 0, "jwt", "triggerRules", 0, name, index], why });
      return "*";
    });
  const included = texts("includedPaths");
  const excluded = texts("excludedPaths");
  return {
    ...(included.length === 0 ? {} : { paths: included }),
    ...(excluded.length === 0 ? {} : { notPaths: excluded }),
  };
}
