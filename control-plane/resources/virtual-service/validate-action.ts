import type { FieldProblem } from "../field-problem.ts";
import { below } from "../field-problem.ts";
import type { DirectResponseInput, HttpRule, RedirectInput, RewriteInput } from "./schema.ts";

const maxBodyBytes = 1_048_576;

/** One rule does one thing: forward, redirect, answer itself or delegate. */
export function validateAction(rule: HttpRule, isDelegate: boolean): FieldProblem[] {
  if (rule.delegate !== undefined) return validateDelegate(rule, isDelegate);
  const actions = (["route", "redirect", "directResponse"] as const).filter((action) =>
    isGiven(rule[action]),
  );
  const problems: FieldProblem[] = actions.slice(1).map((action) => ({
    path: [action],
    why: `cannot stand beside ${actions[0]}`,
    hint: "a rule has one of route, redirect, directResponse, delegate",
  }));
  if (actions.length === 0) {
    problems.push({
      path: [],
      why: "says nothing to do with a request",
      hint: "give one of route, redirect, directResponse, delegate",
    });
  }
  if (!isGiven(rule.route) && actions.length > 0) problems.push(...validateAnswer(rule, actions[0]!));
  if (rule.redirect) problems.push(...below(["redirect"], validateRedirect(rule.redirect, rule)));
  if (rule.rewrite) problems.push(...below(["rewrite"], validateRewrite(rule.rewrite)));
  if (rule.directResponse?.body)
    problems.push(...below(["directResponse", "body"], validateBody(rule.directResponse.body)));
  return problems;
}

function validateDelegate(rule: HttpRule, isDelegate: boolean): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if (isDelegate) {
    problems.push({
      path: ["delegate"],
      why: "a delegate cannot delegate again",
      hint: "delegation has one level: name the last VirtualService in the first",
    });
  }
  if (rule.delegate?.name === undefined) {
    problems.push({
      path: ["delegate", "name"],
      why: "is missing",
      hint: "name a VirtualService without hosts",
    });
  }
  for (const field of ["route", "redirect", "directResponse"] as const) {
    if (!isGiven(rule[field])) continue;
    problems.push({
      path: [field],
      why: "cannot stand beside delegate",
      hint: "the delegate says where requests go",
    });
  }
  return problems;
}

/** What only a forwarded request can have. */
function validateAnswer(rule: HttpRule, action: string): FieldProblem[] {
  return (["fault", "rewrite", "mirror", "mirrors", "retries", "timeout"] as const).flatMap(
    (field): FieldProblem[] => {
      if (!isGiven(rule[field])) return [];
      return [
        {
          path: [field],
          why: `cannot stand beside ${action}`,
          hint: "the proxy answers these requests itself",
        },
      ];
    },
  );
}

function validateRedirect(redirect: RedirectInput, rule: HttpRule): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const { redirectCode: _, ...targets } = redirect;
  if (!Object.values(targets).some(isGiven)) {
    problems.push({
      path: [],
      why: "changes nothing",
      hint: "give uri, prefixRewrite, authority, scheme or port",
    });
  }
  if (redirect.port !== undefined && redirect.derivePort !== undefined) {
    problems.push({ path: ["derivePort"], why: "cannot stand beside port", hint: "keep one of them" });
  }
  if (!redirect.prefixRewrite) return problems;
  if (redirect.uri)
    problems.push({ path: ["prefixRewrite"], why: "cannot stand beside uri", hint: "keep one of them" });
  if ((rule.match ?? []).some((match) => match.uri !== undefined && match.uri.prefix === undefined)) {
    problems.push({
      path: ["prefixRewrite"],
      why: "needs every uri match of the rule to be a prefix",
      hint: "match uri by prefix, or use uri to replace the whole path",
    });
  }
  return problems;
}

function validateRewrite(rewrite: RewriteInput): FieldProblem[] {
  const hint = "give authority, and one of uri and uriRegexRewrite, as needed";
  if (rewrite.uri && rewrite.uriRegexRewrite)
    return [{ path: ["uriRegexRewrite"], why: "cannot stand beside uri", hint }];
  if (!rewrite.uri && !rewrite.uriRegexRewrite && !rewrite.authority)
    return [{ path: [], why: "rewrites nothing", hint }];
  return [];
}

function validateBody(body: NonNullable<DirectResponseInput["body"]>): FieldProblem[] {
  if ((body.string === undefined) === (body.bytes === undefined)) {
    return [{ path: [], why: "needs one of string and bytes", hint: "string is text, bytes is base64" }];
  }
  const field = body.string === undefined ? "bytes" : "string";
  const length =
    body.string === undefined
      ? Buffer.byteLength(body.bytes ?? "", "base64")
      : Buffer.byteLength(body.string);
  if (length <= maxBodyBytes) return [];
  return [
    {
      path: [field],
      why: `is ${length} bytes long: the limit is ${maxBodyBytes}`,
      hint: "serve it from a workload",
    },
  ];
}

/** Empty texts and lists say nothing, as in protobuf. */
function isGiven(value: unknown): boolean {
  return value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0);
}
