import type { CorsPolicy, FaultPolicy, Mirror, RetryPolicy, Rewrite } from "../../../common/model/route.ts";
import type { ServiceReference } from "../../../common/model/service.ts";
import { durationMs } from "../fields/duration.ts";
import { authoritiesOf, compileHeaderOperations } from "../fields/header-operations.ts";
import type { SpecContext } from "../kind.ts";
import { perTryIdleTimeoutAnnotation } from "../own-annotations.ts";
import { compileMirrors, compileRewrite } from "./compile-action.ts";
import type { CompiledRoute } from "./compiled.ts";
import { compileCors } from "./cors.ts";
import { compileFault } from "./fault.ts";
import { compileRetries } from "./retries.ts";
import type { HttpRule } from "./schema.ts";

/**
 * What a rule that delegates says itself. Each of the delegate's rules has its own word for a field, else this one: whole fields, never
 * parts of one (Istio merges the two rules so). Names are resolved in the root's namespace.
 */
export interface Inherited {
  readonly rewrite?: Rewrite;
  readonly timeoutMs?: number;
  readonly retry?: RetryPolicy;
  readonly fault?: FaultPolicy;
  readonly cors?: CorsPolicy;
  readonly mirrors?: readonly Mirror<ServiceReference>[];
  readonly headers?: Pick<CompiledRoute, "requestHeaders" | "responseHeaders"> & {
    readonly authority?: string;
  };
}

/** Undefined when the rule says nothing but its delegate. */
export function compileInherited(rule: HttpRule, context: SpecContext): Inherited | undefined {
  const { headers: _, ...withoutHeaders } = rule;
  const rewrite = rule.rewrite && compileRewrite(withoutHeaders);
  const timeoutMs = durationMs(rule.timeout);
  const idleMs = durationMs(context.annotations[perTryIdleTimeoutAnnotation]);
  const hasMirror = rule.mirror !== undefined || (rule.mirrors ?? []).length > 0;
  const authority = authoritiesOf(rule.headers)[0]?.value;
  const inherited: Inherited = {
    ...(rewrite && { rewrite }),
    ...(timeoutMs ? { timeoutMs } : {}),
    ...(rule.retries && { retry: compileRetries(rule.retries, idleMs) }),
    ...(rule.fault && { fault: compileFault(rule.fault) }),
    ...(rule.corsPolicy && { cors: compileCors(rule.corsPolicy) }),
    ...(hasMirror && { mirrors: compileMirrors(rule, context) }),
    ...(rule.headers && {
      headers: {
        requestHeaders: compileHeaderOperations(rule.headers.request),
        responseHeaders: compileHeaderOperations(rule.headers.response),
        ...(authority ? { authority } : {}),
      },
    }),
  };
  return Object.keys(inherited).length === 0 ? undefined : inherited;
}
