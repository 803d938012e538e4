import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { MeshError } from "../errors.ts";
import { meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import type { Layer, Service } from "../http/layer.ts";

/** Ends an attempt whose response head has not come in time, without giving the request up (Istio's perTryTimeout). */
export function perTryTimeout(ms: number, clock: Clock): Layer {
  return (next) => (exchange) => {
    let stop: CancelTimer = () => {};
    return attempt(next, exchange, (giveUp) => {
      stop = clock.after(ms, () => giveUp(meshError("per_try_timeout", "response_timeout")));
    }).finally(() => stop());
  };
}

/**
 * Ends an attempt when nothing comes or goes for `ms`, without giving the request up (Envoy's per_try_idle_timeout): before the response
 * head another attempt may follow; after it the response breaks off. While the client does not read, it is not the upstream that is idle.
 */
export function perTryIdleTimeout(ms: number, clock: Clock): Layer {
  return (next) => (exchange) => {
    let stop: CancelTimer = () => {};
    return attempt(next, exchange, (giveUp) => {
      let received = exchange.bytesReceived;
      const expire = (): void => {
        const hasProgress = exchange.bytesReceived !== received;
        received = exchange.bytesReceived;
        if (hasProgress) stop = clock.after(ms, expire);
        else giveUp(idle());
      };
      stop = clock.after(ms, expire);
    })
      .finally(() => stop())
      .then((response) => watched(response, ms, clock));
  };
}

function idle(): MeshError {
  return meshError("per_try_timeout", "per_try_idle_timeout");
}

/** One attempt that can be given up while its response head is awaited. */
function attempt(
  next: Service,
  exchange: Exchange,
  watch: (giveUp: (cause: MeshError) => void) => void,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    let cause: MeshError | undefined;
    watch((given) => {
      cause = given;
      exchange.interrupt(given);
      reject(given);
    });
    next(exchange).then((response) => {
      if (cause === undefined) resolve(response);
      else response.body.cancel(cause);
    }, reject);
  });
}

function watched(response: Response, ms: number, clock: Clock): Response {
  const { status, body: from } = response;
  if (status === 101 || from.length === 0 || from.isComplete) return response;
  const to = new Body(from.length);
  let stop: CancelTimer = () => {};
  const watch = (): void => {
    stop();
    stop = clock.after(ms, () => {
      const cause = idle();
      from.cancel(cause);
      to.fail(cause);
    });
  };
  to.onResume = () => {
    watch();
    from.resume();
  };
  to.onCancel = (cause) => {
    stop();
    from.cancel(cause);
  };
  from.pipe({
    data(chunk) {
      if (to.push(chunk)) {
        watch();
        return true;
      }
      stop();
      return false;
    },
    end(trailers) {
      stop();
      to.end(trailers);
    },
    fail(cause) {
      stop();
      to.fail(cause);
    },
  });
  return { ...response, body: to };
}
