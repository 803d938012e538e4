import type { Clock } from "../../common/base/clock.ts";
import type { RetryPolicy } from "../../common/model/route.ts";
import type { MeshError } from "../errors.ts";
import { meshError, toMeshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import { BodyReplay } from "../http/body-replay.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { isGrpc } from "../http/grpc-status.ts";
import type { Service } from "../http/layer.ts";
import type { Filter, FilterContext } from "./filter.ts";
import { RetryBudget } from "./retry-budget.ts";
import type { AttemptResult, RetryCondition } from "./retry-condition.ts";
import { compileRetryCondition, defaultRetryCondition } from "./retry-condition.ts";
import { wait } from "./wait.ts";

/** Bytes of a request body that are kept for another attempt; a longer body can only be sent once. */
const maxReplayBytes = 64 * 1024;

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
    if (policy.attempts <= 0) return undefined;
    const condition = action.retry === undefined ? defaultRetryCondition : compileRetryCondition(policy);
    const budget = new RetryBudget();
    return (next) => {
      const attempt = policy.perTryTimeoutMs ? perTry(next, context.clock, policy.perTryTimeoutMs) : next;
      const parts: RetryParts = { policy, condition, budget, attempt, context };
      return condition.coversSentRequests || attempt !== next
        ? (exchange) => new RetriedRequest(exchange, parts).run()
        : retryOnlyUnsent(parts);
    };
  },
};

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
  const answered = (response: Response) => {
    budget.finish(false);
    return response;
  };
  return (exchange) => {
    budget.begin();
    return attempt(exchange).then(answered, (thrown) =>
      new RetriedRequest(exchange, parts).goOn({ error: toMeshError(thrown) }),
    );
  };
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
        if (reason === undefined || !this.#mayRepeat(result)) return outcomeOf(result);
        if (this.#retries >= this.#parts.policy.attempts) {
          this.#exchange.addFlag("URX");
          return outcomeOf(result);
        }
        if (this.#retries === 0 && !budget.tryRetry()) return outcomeOf(result);
        await this.#prepareRetry(result, reason);
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
    const isUnsent = "error" in result && result.error.entry.retry;
    return isWhole && (isUnsent || this.#isRepeatable);
  }

  async #prepareRetry(result: AttemptResult, reason: string): Promise<void> {
    const { context, policy } = this.#parts;
    this.#retries++;
    if ("response" in result) {
      this.#exchange.whenCancelled(undefined);
      result.response.body.cancel(meshError("upstream_reset", "retried"));
    }
    context.events?.retried(this.#exchange.cluster, reason);
    const ceiling = Math.min((2 ** this.#retries - 1) * policy.baseIntervalMs, policy.maxIntervalMs);
    await wait(context.clock, this.#exchange, Math.floor(context.random() * ceiling));
  }
}

function outcomeOf(result: AttemptResult): Response {
  if ("error" in result) throw result.error;
  return result.response;
}

/** RFC 9110 9.2.2, the Idempotency-Key header field draft, and gRPC, where every call is a POST and the policy's words are the consent. */
function isRepeatable(exchange: Exchange): boolean {
  if (exchange.upgrade !== undefined) return false;
  return idempotent.has(exchange.method) || exchange.headers.has("idempotency-key") || isGrpc(exchange);
}

const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** Ends an attempt whose response head has not come in time, without giving the request up. */
function perTry(next: Service, clock: Clock, ms: number): Service {
  return (exchange) =>
    new Promise((resolve, reject) => {
      let cause: MeshError | undefined;
      const stop = clock.after(ms, () => {
        cause = meshError("per_try_timeout", "response_timeout");
        exchange.interrupt(cause);
        reject(cause);
      });
      next(exchange).then(
        (response) => {
          stop();
          if (cause === undefined) resolve(response);
          else response.body.cancel(cause);
        },
        (thrown) => {
          stop();
          reject(thrown);
        },
      );
    });
}
