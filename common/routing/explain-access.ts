import type { AccessControl, AccessPolicy } from "../model/authorization.ts";
import { formatSource } from "../model/source.ts";
import { CompiledPolicy, CompiledRules } from "./access-decision.ts";
import type { AccessSubject } from "./access-subject.ts";

/** What policies would say, and why. Plain data. */
export interface AccessExplanation {
  readonly isAllowed: boolean;
  /** In words: the policy that decided, or the one that came nearest and the first question that failed. */
  readonly why: string;
  /** What else would happen: somebody asked, something only tried. */
  readonly notes: readonly string[];
}

/** Runs the proxies' own compiled rules, in their order. What an asked service would say is not known here. */
export function explainAccess(
  { external = [], rules }: AccessControl,
  subject: AccessSubject,
): AccessExplanation {
  const notes: string[] = [];
  for (const { provider, policies } of external) {
    const asking = policies.find((policy) => new CompiledPolicy(policy, false).matches(subject));
    if (asking) notes.push(`${provider} is asked, because of ${placeOf(asking)}`);
  }
  let allowedBy: AccessPolicy | undefined;
  for (const one of rules) {
    const compiled = new CompiledRules(one);
    const { isAllowed, policy } = compiled.decide(subject);
    if (one.action === "log") {
      if (policy) notes.push(`audited by ${placeOf(policy)}`);
    } else if (one.isDryRun)
      notes.push(`tried only: ${isAllowed ? "allowed" : refusal(compiled, subject, policy)}`);
    else if (!isAllowed) return { isAllowed: false, why: refusal(compiled, subject, policy), notes };
    else if (one.action === "allow") allowedBy = policy;
  }
  const why = allowedBy ? `allowed by ${placeOf(allowedBy)}` : "no policy is against it";
  return { isAllowed: true, why, notes };
}

/** Why rules refuse: the policy that says so, or what the nearest one that could allow it lacks. */
export function refusal(
  compiled: CompiledRules,
  subject: AccessSubject,
  policy: AccessPolicy | undefined,
): string {
  if (policy !== undefined) return `denied by ${placeOf(policy)}`;
  const nearest = compiled.nearest(subject);
  return nearest === undefined
    ? "no policy allows it, and one that allows nothing is in force"
    : `no policy allows it; nearest is ${placeOf(nearest.policy)}: ${nearest.why}`;
}

function placeOf({ name, source }: AccessPolicy): string {
  return source === undefined ? name : formatSource(source);
}
