import type { Clock } from "../../common/base/clock.ts";
import type { PeerIdentity } from "../../common/model/identity.ts";
import type { PaceLimits } from "./pace.ts";
import { Pace } from "./pace.ts";

/** What one caller may hold and ask for. A caller is an identity at an address; on the plain port an address. */
export interface CallerLimits {
  /** Open at a time, of xDS and leases. */
  readonly streams: number;
  /** Characters of the names that its streams subscribed to. */
  readonly nameLength: number;
  readonly certificates: PaceLimits;
  /** A whole local mesh calls from this machine's own address: callers there may so many times as much. */
  readonly onLoopback: number;
}

export const defaultCallerLimits: CallerLimits = {
  streams: 100,
  nameLength: 64 * 1024 * 1024,
  certificates: { burst: 100, perSecond: 10 },
  onLoopback: 20,
};

/** What one stream counts for. */
export interface CallerStream {
  /** The names that it holds now have so many characters. False: more than its caller may hold. */
  holds(nameLength: number): boolean;
  /** It is over. May be called again. */
  leave(): void;
}

interface Account {
  streams: number;
  nameLength: number;
}

/** Counts per caller, so that none can take what is there for all. Forgets who holds nothing. */
export class Callers {
  readonly #limits: CallerLimits;
  readonly #clock: Clock;
  readonly #accounts = new Map<string, Account>();
  readonly #certificates = new Map<string, Pace>();

  constructor(limits: CallerLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** A stream begins; a text when its caller has too many. */
  enter(address: string, identity: PeerIdentity | undefined): CallerStream | string {
    const key = keyOf(address, identity);
    const times = this.#timesFor(address);
    const account = this.#accounts.get(key) ?? { streams: 0, nameLength: 0 };
    if (account.streams >= this.#limits.streams * times)
      return `${describe(address, identity)} has ${account.streams} streams open already, which is the most for one caller`;
    this.#accounts.set(key, account);
    account.streams += 1;
    let held = 0;
    let isOver = false;
    return {
      holds: (nameLength) => {
        if (isOver) return false;
        account.nameLength += nameLength - held;
        held = nameLength;
        return account.nameLength <= this.#limits.nameLength * times;
      },
      leave: () => {
        if (isOver) return;
        isOver = true;
        account.streams -= 1;
        account.nameLength -= held;
        if (account.streams === 0) this.#accounts.delete(key);
      },
    };
  }

  /** Whether a caller may have one more certificate now: each costs us signatures. */
  mayCertify(address: string, identity: PeerIdentity): boolean {
    const key = keyOf(address, identity);
    let pace = this.#certificates.get(key);
    if (pace === undefined) {
      for (const [other, { isFull }] of this.#certificates) if (isFull) this.#certificates.delete(other);
      const { burst, perSecond } = this.#limits.certificates;
      const times = this.#timesFor(address);
      pace = new Pace({ burst: burst * times, perSecond: perSecond * times }, this.#clock);
      this.#certificates.set(key, pace);
    }
    return pace.tryTake();
  }

  #timesFor(address: string): number {
    return /^(?:127\.|::1$|::ffff:127\.)/.test(hostOf(address)) ? this.#limits.onLoopback : 1;
  }
}

function keyOf(address: string, identity: PeerIdentity | undefined): string {
  return `${identity?.principal ?? ""} ${hostOf(address)}`;
}

function describe(address: string, identity: PeerIdentity | undefined): string {
  return identity === undefined ? hostOf(address) : `${identity.principal} at ${hostOf(address)}`;
}

/** Without the port, which is another on each connection. */
function hostOf(address: string): string {
  return address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}
