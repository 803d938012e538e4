import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import { Body } from "./body.ts";
import type { HeaderList } from "./header-list.ts";

/** Bytes are let through so often, in even portions (Envoy's stream rate limiter: 16 times a second). */
const stepMs = 1000 / 16;

/**
 * The same body at no more than `bytesPerSecond`. What has come and may not go yet is held here, and the sender is asked to pause
 * meanwhile, so it is at most the bytes of one read.
 */
export function throttleBody(from: Body, bytesPerSecond: number, clock: Clock): Body {
  const to = new Body(from.length);
  const portion = Math.max(1, Math.floor((bytesPerSecond * stepMs) / 1000));
  const held: Buffer[] = [];
  let cancelStep: CancelTimer | undefined;
  let isBlocked = false;
  let hasEnded = false;
  let trailers: HeaderList | undefined;

  const stop = (): void => {
    cancelStep?.();
    cancelStep = undefined;
    held.length = 0;
  };
  const goOn = (): void => {
    if (isBlocked || cancelStep !== undefined) return;
    if (held.length > 0) {
      let left = portion;
      while (left > 0 && held.length > 0) {
        const first = held[0]!;
        const part = first.subarray(0, left);
        if (part.length === first.length) held.shift();
        else held[0] = first.subarray(part.length);
        left -= part.length;
        if (!to.push(part)) isBlocked = true;
      }
      // One portion a step, the first at once.
      cancelStep = clock.after(stepMs, () => {
        cancelStep = undefined;
        goOn();
      });
    } else if (hasEnded) to.end(trailers);
    else from.resume();
  };

  to.onResume = () => {
    isBlocked = false;
    goOn();
  };
  to.onCancel = (cause) => {
    stop();
    from.cancel(cause);
  };
  from.pipe({
    data(chunk) {
      held.push(chunk);
      goOn();
      return false;
    },
    end(given) {
      hasEnded = true;
      trailers = given;
      goOn();
    },
    fail(cause) {
      stop();
      to.fail(cause);
    },
  });
  return to;
}
