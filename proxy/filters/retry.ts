import type { Clock } from "../../common/base/clock.ts";
import type { RetryPolicy } from "../../common/model/route.ts";
import { meshError, toMeshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import { BodyReplay } from "../http/body-replay.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { isGrpc } from "../http/grpc-status.ts";
import type { Layer, Service } from "../http/layer.ts";
import { attemptHeader, retryVerdictHeader } from "../http/retry-headers.ts";
import type { Filter, FilterContext } from "./filter.ts";
import { perTryIdleTimeout, perTryTimeout } from "./per-try.ts";
import { retryAfterMs } from "./retry-after.ts";
import { RetryBudget } from "./retry-budget.ts";
import type { AttemptResult, RetryCondition } from "./retry-condition.ts";
import { compileRetryCondition, defaultRetryCondition } from "./retry-condition.ts";
import { wait } from "./wait.ts";

/** Bytes of a request body that are kept for another attempt; a longer body can only be sent once. */
const maxReplayBytes = 64 * 1024;

/** A Retry-After up to this is waited for; a longer one goes to the client. */
const maxRetryAfterMs = 5_000;

const defaultPolicy: RetryPolicy = {
  attempts: 2,
  on: [],
  statusCodes: [],
  baseIntervalMs: 25,
  maxIntervalMs: 250,
};

/**
 * Makes another attempt when one failed (Istio's `retries`). Safe by default: a request that may have reached the application is
 * sent again only when its method is idempotent (RFC 9110 9.2.2), it has an Idempotency-Key, or it is a gRPC call whose
 * policy asks for it; and only when its body is still whole. Without a policy: two retries of what was certainly not sent.
 */
export const retry: Filter = {
  name: "retry",
  build({ action }, context) {
    if (action.kind !== "forward") return undefined;
    const policy = action.retry ?? defaultPolicy;
    if (policy.attempts <= 0) return settleOnly(context);
    const condition = action.retry === undefined ? defaultRetryCondition : compileRetryCondition(policy);
    const cluster = context.destination?.destination ?? action.destinations[0]!.destination;
    const budget = context.retryBudget?.(cluster) ?? new RetryBudget(context.clock);
    return (next) => {
      const attempt = oneTry(policy, context.clock)(next);
      const parts: RetryParts = { policy, condition, budget, attempt, context };
      return condition.coversSentRequests || attempt !== next
        ? (exchange) => new RetriedRequest(exchange, parts).run()
        : retryOnlyUnsent(parts);
    };
  },
};

/** Without retries a verdict from further down still goes no further than here. */
function settleOnly(context: FilterContext): Layer | undefined {
  if (context.nested === undefined) return undefined;
  return (next) => (exchange) =>
    next(exchange).then((response) => {
      if (response.status >= 500) settleVerdict(exchange, response, { context });
      return response;
    });
}

/** The time-outs of a single attempt. */
function oneTry({ perTryTimeoutMs = 0, perTryIdleTimeoutMs = 0 }: RetryPolicy, clock: Clock): Layer {
  return (next) => {
    const ended = perTryTimeoutMs > 0 ? perTryTimeout(perTryTimeoutMs, clock)(next) : next;
    return perTryIdleTimeoutMs > 0 ? perTryIdleTimeout(perTryIdleTimeoutMs, clock)(ended) : ended;
  };
}

interface RetryParts {
  readonly policy: RetryPolicy;
  readonly condition: RetryCondition;
  readonly budget: RetryBudget;
  readonly attempt: Service;
  readonly context: FilterContext;
}

/** The common case: an answer of any kind is final and nothing of the request is kept, so until an attempt fails there is nothing to do. */
function retryOnlyUnsent(parts: RetryParts): Service {
  const { attempt, budget } = parts;
  return (exchange) => {
    budget.begin();
    return attempt(exchange).then(
      (response) => {
        budget.finish(false);
        if (response.status >= 500) settleVerdict(exchange, response, parts);
        return response;
      },
      (thrown) => new RetriedRequest(exchange, parts).goOn({ error: toMeshError(thrown) }),
    );
  };
}

/** What a failure says to the hops further up: passed on from further down, or added where this proxy knows it. */
function settleVerdict(
  exchange: Exchange,
  response: Response,
  { context }: Pick<RetryParts, "context">,
): void {
  const { nested } = context;
  if (nested === undefined) return;
  if (nested.direction === "inbound") nested.retries.judge(exchange, response);
  else if (response.headers.has(retryVerdictHeader)) {
    response.headers.remove(retryVerdictHeader);
    nested.retries.giveUp(exchange);
  }
}

class RetriedRequest {
  readonly #exchange: Exchange;
  readonly #parts: RetryParts;
  /** Whether an attempt that may have reached the application can be repeated without harm. */
  readonly #isRepeatable: boolean;
  readonly #replay: BodyReplay | undefined;
  #retries = 0;

  constructor(exchange: Exchange, parts: RetryParts) {
    this.#exchange = exchange;
    this.#parts = parts;
    this.#isRepeatable = parts.condition.coversSentRequests && isRepeatable(exchange);
    const { length } = exchange.body;
    const isKept = this.#isRepeatable && length !== 0 && (length === undefined || length <= maxReplayBytes);
    if (isKept) this.#replay = new BodyReplay(exchange.body, maxReplayBytes);
  }

  async run(): Promise<Response> {
    this.#parts.budget.begin();
    return this.goOn(await this.#attempt());
  }

  /** Judges the result of the first attempt, and makes others. */
  async goOn(first: AttemptResult): Promise<Response> {
    const { budget, condition } = this.#parts;
    try {
      for (let result = first; ; result = await this.#attempt()) {
        const reason = this.#exchange.cancelCause === undefined ? condition.reasonFor(result) : undefined;
        if (reason === undefined || !this.#mayRepeat(result)) return this.#outcomeOf(result);
        if (this.#retries >= this.#parts.policy.attempts) return this.#giveUp(result, "URX");
        const waitMs = this.#waitMs(result);
        if (waitMs === undefined || this.#isNested(result)) return this.#giveUp(result, "");
        if (!budget.tryRetry(this.#retries === 0, isUnsent(result))) return this.#giveUp(result, "UO");
        await this.#prepareRetry(result, reason, waitMs);
      }
    } finally {
      budget.finish(this.#retries > 0);
      this.#replay?.release();
    }
  }

  async #attempt(): Promise<AttemptResult> {
    if (this.#replay !== undefined) this.#exchange.body = this.#replay.next();
    // A body without bytes can be had as often as one likes.
    else if (this.#retries > 0 && this.#exchange.body.length === 0) this.#exchange.body = Body.empty();
    try {
      return { response: await this.#parts.attempt(this.#exchange) };
    } catch (thrown) {
      return { error: toMeshError(thrown) };
    }
  }

  #mayRepeat(result: AttemptResult): boolean {
    const { body } = this.#exchange;
    const isWhole = body.length === 0 || body.isUntouched || this.#replay?.canReplay === true;
    return isWhole && (isUnsent(result) || this.#isRepeatable);
  }

  /**
   * Someone further up retries already, and would again: what may have reached the application is then left to them. (The mark that this
   * proxy set for an earlier attempt of its own does not count.)
   */
  #isNested(result: AttemptResult): boolean {
    if (isUnsent(result)) return false;
    const { nested } = this.#parts.context;
    return this.#retries === 0 && nested !== undefined && nested.retries.isRetry(this.#exchange);
  }

  /** The result was worth a retry, and gets none: nobody further up needs to try. */
  #giveUp(result: AttemptResult, flag: string): Response {
    this.#exchange.addFlag(flag);
    const { nested } = this.#parts.context;
    if (nested?.direction === "outbound") nested.retries.giveUp(this.#exchange);
    return this.#outcomeOf(result);
  }

  #outcomeOf(result: AttemptResult): Response {
    if ("error" in result) throw result.error;
    if (result.response.status >= 500) settleVerdict(this.#exchange, result.response, this.#parts);
    return result.response;
  }

  /** ms until the next attempt; undefined when the server wants it so late that the client is better told now. */
  #waitMs(result: AttemptResult): number | undefined {
    const { context, policy } = this.#parts;
    const ceiling = Math.min((2 ** (this.#retries + 1) - 1) * policy.baseIntervalMs, policy.maxIntervalMs);
    const backOffMs = Math.floor(context.random() * ceiling);
    const askedMs = "response" in result ? (retryAfterMs(result.response, context.clock.now()) ?? 0) : 0;
    return askedMs > maxRetryAfterMs ? undefined : Math.max(backOffMs, askedMs);
  }

  async #prepareRetry(result: AttemptResult, reason: string, waitMs: number): Promise<void> {
    const { context, policy } = this.#parts;
    const exchange = this.#exchange;
    this.#retries++;
    if (context.nested?.direction === "outbound")
      exchange.headers.set(attemptHeader, String(this.#retries + 1));
    if (policy.leavesPriority) exchange.leavesPriority = true;
    if ((policy.mayRepeatHost !== true || policy.leavesPriority) && exchange.upstream !== undefined) {
      if (exchange.previousHosts === undefined) exchange.previousHosts = [exchange.upstream];
      else exchange.previousHosts.push(exchange.upstream);
    }
    if ("response" in result) {
      this.#exchange.whenCancelled(undefined);
      result.response.body.cancel(meshError("upstream_reset", "retried"));
    }
    context.events?.retried(this.#exchange.cluster, reason);
    await wait(context.clock, this.#exchange, waitMs);
  }
}

/** Certainly nothing reached the application. */
function isUnsent(result: AttemptResult): boolean {
  return "error" in result && result.error.entry.retry;
}

/** RFC 9110 9.2.2, the Idempotency-Key header field draft, and gRPC, where every call is a POST and the policy's words are the consent. */
function isRepeatable(exchange: Exchange): boolean {
  if (exchange.upgrade !== undefined) return false;
  return idempotent.has(exchange.method) || exchange.headers.has("idempotency-key") || isGrpc(exchange);
}

const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);
