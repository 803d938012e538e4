import type { Clock } from "../../common/base/clock.ts";
import { Pace } from "./pace.ts";

/** Lines in a row, and per second after that. */
const pace = { burst: 50, perSecond: 1 };

/** Says who was refused and why, but not so often that a caller who is refused all the time fills the log. */
export function refusalLog(warn: (text: string) => void, clock: Clock): (text: string) => void {
  const may = new Pace(pace, clock);
  let unsaid = 0;
  return (text) => {
    if (!may.tryTake()) {
      unsaid += 1;
      return;
    }
    warn(unsaid === 0 ? text : `${text} (${unsaid} more were refused meanwhile)`);
    unsaid = 0;
  };
}
