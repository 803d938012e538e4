import type { Mirror } from "../../common/model/route.ts";
import { isChosen } from "../../common/routing/fraction.ts";
import { hostOf } from "../../common/routing/host.ts";
import type { MeshError } from "../errors.ts";
import { meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import { teeBody } from "../http/body-tee.ts";
import { Exchange } from "../http/exchange.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { Service } from "../http/layer.ts";
import type { Filter, FilterContext } from "./filter.ts";

/** Bytes that a copy's upload may lag behind the primary's before it is dropped. */
const maxBehindBytes = 256 * 1024;
/** Bytes of a mirror's response that are read, so its connection can be used again; more cost the connection. */
const maxDrainedBytes = 1024 * 1024;
/** Copies under way to one mirror of one route; more are dropped, so a mirror that hangs costs no memory. */
const maxInFlight = 256;
/** ms that a copy may take when the route has no time-out of its own. */
const defaultTimeoutMs = 15_000;

/**
 * Sends copies of requests to other destinations and throws the answers away (Istio's `mirror` and `mirrors`). The primary is never
 * delayed, slowed or failed: the copy is an exchange of its own, and what it can't keep up with is dropped and counted.
 */
export const mirror: Filter = {
  name: "mirror",
  build({ action }, context) {
    if (action.kind !== "forward" || action.mirrors.length === 0) return undefined;
    const timeoutMs = action.timeoutMs || defaultTimeoutMs;
    const targets = action.mirrors.map((policy) => new MirrorTarget(policy, timeoutMs, context));
    return (next) => (exchange) => {
      // An upgraded connection is a conversation; one side of it makes no sense elsewhere.
      if (exchange.upgrade !== undefined) return next(exchange);
      const copies: (() => void)[] = [];
      for (const target of targets) {
        const send = target.prepare(exchange);
        if (send !== undefined) copies.push(send);
      }
      try {
        return next(exchange);
      } finally {
        // After the primary, so it has the first connection; always, because each copy holds a place until it was sent.
        for (const send of copies) send();
      }
    };
  },
};

class MirrorTarget {
  readonly #policy: Mirror;
  readonly #timeoutMs: number;
  readonly #context: FilterContext;
  readonly #upstream: Service;
  #inFlight = 0;

  constructor(policy: Mirror, timeoutMs: number, context: FilterContext) {
    this.#policy = policy;
    this.#timeoutMs = timeoutMs;
    this.#context = context;
    this.#upstream = context.upstream(policy.destination);
  }

  /** Copies the request as it is now, if this one is to be mirrored; the result sends the copy. */
  prepare(exchange: Exchange): (() => void) | undefined {
    if (!isChosen(this.#policy.fraction, this.#context.random)) return undefined;
    if (this.#inFlight >= maxInFlight) {
      this.#dropped();
      return undefined;
    }
    this.#inFlight++;
    const copy = this.#copyOf(exchange);
    return () => void this.#send(copy);
  }

  #copyOf(exchange: Exchange): Exchange {
    const { downstream, protocol, method, scheme, authority, path, route } = exchange;
    const copy = new Exchange({
      downstream,
      protocol,
      method,
      scheme,
      path,
      startedAt: this.#context.clock.monotonic(),
      authority: this.#policy.shadowHostSuffix ? withShadowSuffix(authority) : authority,
      headers: copiedFields(exchange),
      body: this.#divideBody(exchange),
      upgrade: undefined,
      expectsContinue: false,
    });
    copy.route = route;
    copy.cluster = this.#policy.destination;
    return copy;
  }

  #divideBody(exchange: Exchange): Body {
    if (exchange.body.length === 0) return Body.empty();
    const { primary, copy } = teeBody(exchange.body, maxBehindBytes, () => this.#dropped());
    exchange.body = primary;
    return copy;
  }

  async #send(copy: Exchange): Promise<void> {
    const { clock } = this.#context;
    const stop = clock.after(this.#timeoutMs, () =>
      copy.cancel(meshError("request_timeout", "mirror_timeout")),
    );
    try {
      const response = await this.#upstream(copy);
      await drain(copy, response.body);
    } catch {
      // Whatever happens to a copy is nobody's error; the cluster's own metrics show it.
      copy.body.cancel();
    } finally {
      stop();
      this.#inFlight--;
      copy.finish(clock.monotonic());
    }
  }

  #dropped(): void {
    this.#context.events?.mirrorDropped(this.#policy.destination);
  }
}

/** Reads a body to its end, or cancels it after `maxDrainedBytes` or when the copy is cancelled. */
function drain(copy: Exchange, body: Body): Promise<void> {
  return new Promise((resolve) => {
    const giveUp = (cause?: MeshError) => {
      body.cancel(cause);
      resolve();
    };
    copy.whenCancelled(giveUp);
    let bytes = 0;
    body.pipe({
      data(chunk) {
        bytes += chunk.length;
        if (bytes <= maxDrainedBytes) return true;
        giveUp();
        return false;
      },
      end: () => resolve(),
      fail: () => resolve(),
    });
  });
}

/** `reviews:9080` → `reviews-shadow:9080` */
function withShadowSuffix(authority: string): string {
  const host = hostOf(authority);
  return `${host}-shadow${authority.slice(host.length)}`;
}

/** Without Expect: the copy's body does not wait to be asked for. */
function copiedFields(exchange: Exchange): HeaderList {
  const fields = exchange.headers.clone();
  fields.remove("expect");
  return fields;
}
