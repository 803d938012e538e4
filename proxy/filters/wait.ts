import type { Clock } from "../../common/base/clock.ts";
import type { Exchange } from "../http/exchange.ts";

/** Lets an exchange wait for `ms`; rejects with the cause at once when it is cancelled or interrupted meanwhile. */
export function wait(clock: Clock, exchange: Exchange, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = clock.after(ms, () => {
      exchange.whenCancelled(undefined);
      resolve();
    });
    exchange.whenCancelled((cause) => {
      stop();
      reject(cause);
    });
  });
}
